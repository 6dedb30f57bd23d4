"""LIVE: a stream of frames in, tracked faces with smoothed probabilities out."""
