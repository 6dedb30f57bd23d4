"""The datasheet of a data set: what the catalog knows, and what its makers have to write."""
