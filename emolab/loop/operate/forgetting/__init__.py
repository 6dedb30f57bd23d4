"""Erasing a person everywhere: what holds something of it, in which order it goes, and what is certified."""
