"""OpenAI Responses: encode, decode, and both as a wire."""
