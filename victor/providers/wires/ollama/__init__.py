"""Ollama's own API: encode, decode, embeddings, what it says of its models, and a wire."""
