"""From samples to batches: the training set, the caches of pixels and features, damaged files."""
