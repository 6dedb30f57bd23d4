"""Networks that say where something is: faces in a picture, speech in a sound."""
