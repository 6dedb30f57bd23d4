"""A model listens: sounds come in as a stream, are cut into windows, and those with a voice are answered."""
