"""emolab: from faces and a team of annotators to a calibrated emotion classifier, with the fewest votes."""

__version__ = "0.1.0"
