"""Models as products: which one is in use, who decided that, back to the one before, and out of the way."""
