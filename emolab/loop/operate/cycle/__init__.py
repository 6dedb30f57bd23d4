"""Continuous training: from new votes to a new round for the team, step by step, going on where it was stopped."""
