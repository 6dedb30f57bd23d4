"""Backbones, and the classifier on top of them; the bundled ``face48`` and its weights."""
