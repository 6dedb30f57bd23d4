"""``make demo``: drawn faces, simulated annotators, a campaign through a real Label Studio, and its page."""
