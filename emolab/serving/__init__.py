"""SERVE: a model at work, without PyTorch: for files, videos, a camera, over HTTP and inside Label Studio."""
