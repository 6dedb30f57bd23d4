"""Multinomial logistic regression on fixed features: the head of a model, the probe of selection."""
