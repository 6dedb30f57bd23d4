"""The one way from image files to pixels: read, strip metadata, find faces, measure quality, decode."""
