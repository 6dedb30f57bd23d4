"""Parts of a replayed campaign: its budgets, what it is played on, what is refused, and its report."""
