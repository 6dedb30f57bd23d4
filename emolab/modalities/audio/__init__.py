"""The one way from sound files to samples and features: read, segment, measure, store, transform."""
