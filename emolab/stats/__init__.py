"""Statistics in NumPy: metrics of a classifier, and multinomial logistic regression solved exactly."""
