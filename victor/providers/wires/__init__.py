"""One protocol each, without any I/O."""
