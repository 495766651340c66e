"""Anthropic Messages: encode, decode, and both as a wire."""
