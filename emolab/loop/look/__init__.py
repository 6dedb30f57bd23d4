"""What pages show of a workspace: the samples on a wall, a sample beside its votes, the team, and the models."""
