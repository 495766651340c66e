"""Google Gemini's generateContent: encode, decode, embeddings, and all as wires."""
