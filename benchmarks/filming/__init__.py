"""Films whose emotion is known, made for benchmarks."""
