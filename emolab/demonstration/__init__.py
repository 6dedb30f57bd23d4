"""demonstration."""
