"""How fast training is beside what people use otherwise, as ratios measured in one run."""

from __future__ import annotations

from benchmarks.harness import Result, main
from benchmarks.training_head import head_vs_sklearn


def run(quick: bool) -> list[Result]:
    """Every comparison, one after the other."""
    return head_vs_sklearn(quick)


if __name__ == "__main__":
    main(run)
