"""Settings, API keys, and the vendors as data."""
