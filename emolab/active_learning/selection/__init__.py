"""Choosing a round: the pool as arrays, one call that runs a strategy, quotas, and what strategies share."""
