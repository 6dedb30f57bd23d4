"""Votes as files that other programs read, and such files as votes again. Pure: no server."""
