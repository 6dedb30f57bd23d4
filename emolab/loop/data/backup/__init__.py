"""A workspace in one file, and back: written while other commands work, every member checked by its hash."""
