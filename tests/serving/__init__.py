"""Tests of emolab.serving."""
