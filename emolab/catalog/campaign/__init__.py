"""The labelling campaign in tables: rounds, suggestions, projects and tasks on a server, and what is not sent yet."""
