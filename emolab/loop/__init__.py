"""The steps of the loop as plain functions that commands, notebooks and servers call; they print nothing."""
