"""OpenAI chat completions: encode, decode, and both as a wire."""
