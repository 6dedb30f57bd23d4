"""Open datasets of voices, whose files are named after what was said, how, and by whom."""
