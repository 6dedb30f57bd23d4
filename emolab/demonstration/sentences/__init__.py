"""Sentences that emolab makes."""
