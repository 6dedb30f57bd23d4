"""Steps on the data: collect, merge, split, snapshot, backup."""
