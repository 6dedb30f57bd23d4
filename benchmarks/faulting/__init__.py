"""Parts of the fault campaign: troubled ways to a server, a team with a journal, commands that are killed."""
