"""Backbones, and the classifier on top of them; the bundled ones and their weights."""
