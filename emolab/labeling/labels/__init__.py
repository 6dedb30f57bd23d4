"""Where votes become labels: aggregation, the current label set, agreement of the team, and vote export."""
