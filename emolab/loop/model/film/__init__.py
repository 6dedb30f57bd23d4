"""Faces, voice and words of one video, put together."""
