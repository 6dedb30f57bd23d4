"""Votes leave as a file and come back from one."""
