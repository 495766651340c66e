"""Cohere's chat v2: encode, decode, embeddings, and the two directions as a wire."""
