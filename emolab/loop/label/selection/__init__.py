"""What a round is chosen from: the pool with all that is known of it, and the samples to ask about once more."""
