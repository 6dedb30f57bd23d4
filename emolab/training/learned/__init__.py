"""Which images a model has learned from, kept as fingerprints beside it and handed on to its successors."""
