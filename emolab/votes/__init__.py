"""The mathematics of votes: vote tables, Dawid-Skene, confusion of annotators, and when votes are enough."""
