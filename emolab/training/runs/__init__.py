"""Runs on disk: recipe, state after each epoch, resume, and what a model was made from."""
