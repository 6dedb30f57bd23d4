"""Steps around models: train, evaluate, predict, export, promote."""
