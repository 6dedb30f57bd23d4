"""Exported models at work without PyTorch, and the store of their predictions; training and serving use both."""
