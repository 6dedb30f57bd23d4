"""LABEL: tasks for a team in Label Studio, and from votes to labels."""
