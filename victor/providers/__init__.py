"""Where model answers come from."""
