"""Streams of faces and voices in which something changes, or nothing: for benchmarks/monitoring.py."""
