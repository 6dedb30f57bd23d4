"""Settings of a training, searched within a budget of time."""
