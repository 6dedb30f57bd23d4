"""Models that their modality learns and runs by itself: learning, and how good they are."""
