"""How good a model is that says of each class by itself whether it applies."""
