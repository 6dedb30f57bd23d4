"""One file a kind of place that may hold something of a sample: how it is found, erased and verified."""
