"""Watching and listening live: a camera, a microphone, a film or a browser page."""
