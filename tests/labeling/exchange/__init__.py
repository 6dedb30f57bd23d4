"""Votes as files, and files as votes."""
