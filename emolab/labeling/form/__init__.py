"""The page that annotators see: question, keys, languages, instructions, and the team's own questions."""
