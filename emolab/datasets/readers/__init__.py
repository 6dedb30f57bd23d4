"""One source format per file; each streams records."""
