"""What became of models, as events that are only ever added; which model has which name now is replayed from them."""
