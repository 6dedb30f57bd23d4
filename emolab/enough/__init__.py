"""Are the votes on a sample enough? How people answer, what a crowd would say, and whom to ask once more."""
