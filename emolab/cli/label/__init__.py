"""``emolab label ...``: one file per subcommand."""
