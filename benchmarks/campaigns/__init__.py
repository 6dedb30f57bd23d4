"""What `python -m benchmarks.simulate` plays campaigns on, and the peers that play along."""
