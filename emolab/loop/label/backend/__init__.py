"""emolab inside Label Studio, as its ML backend: what it says about tasks, and how the server learns of it."""
