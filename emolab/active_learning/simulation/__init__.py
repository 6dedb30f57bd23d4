"""Labelling campaigns replayed on data whose votes are known, to compare strategies before people are asked."""
