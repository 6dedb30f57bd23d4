"""Telling people of an alarm: once, by every channel that the settings name, again only when it is news."""
