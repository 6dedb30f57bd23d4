"""Learning from the workspace's images without labels."""
