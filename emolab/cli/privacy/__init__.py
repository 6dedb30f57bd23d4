"""``emolab consent`` and ``privacy``: what people agreed to, and what is held about them."""
