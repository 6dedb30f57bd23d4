"""Steps around votes: choose a round, ask once more, say when to stop, simulate."""
