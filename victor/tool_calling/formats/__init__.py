"""The formats in which models write reasoning and calls as text, and their readers."""
