"""The agent: its loop, its events, what it may do."""
