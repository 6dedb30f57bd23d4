"""What a model saw: snapshots of samples, labels and splits under the hash of their content."""
