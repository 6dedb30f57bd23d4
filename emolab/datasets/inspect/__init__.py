"""The workspace as a FiftyOne dataset: written there, and changes made there read back as votes."""
