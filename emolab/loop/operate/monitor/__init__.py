"""`emolab monitor`: whether the model at work is still right, window by window, and what a team is told of it."""
