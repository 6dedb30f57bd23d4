"""The tests: a folder for each package, and what they share in ``support``."""
