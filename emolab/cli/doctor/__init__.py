"""``emolab doctor``: the command that prints what works on this machine."""
