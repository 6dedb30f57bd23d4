"""Push and pull: what is sent, in which order, and what came back, safe against crashes and doubles."""
