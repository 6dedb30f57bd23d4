"""One module per claim in the README; `python -m benchmarks.NAME [--quick] [--json]` prints its figures."""
