"""Trainings and names of models, told to a tracking server beside emolab."""
