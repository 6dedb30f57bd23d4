"""Python used by hand: progress in a notebook, data frames, and what a command is called here."""
