"""When to stop: what further votes would buy, how good a model can get, and which labels are probably wrong."""
