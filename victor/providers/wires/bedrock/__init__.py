"""Amazon Bedrock's Converse: encode, decode, and both as a wire."""
