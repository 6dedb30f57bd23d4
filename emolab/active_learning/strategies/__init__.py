"""One selection strategy per file; pure functions of a pool."""
