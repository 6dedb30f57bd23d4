"""How fast training is beside what people use otherwise, as ratios measured in one run."""

from __future__ import annotations

from benchmarks.harness import Result, main
from benchmarks.training_augment import augment_vs_others
from benchmarks.training_head import head_vs_sklearn
from benchmarks.training_loader import loader_vs_dataloader
from benchmarks.training_step import step_vs_eager


def run(quick: bool) -> list[Result]:
    """Every comparison, one after the other."""
    parts = (loader_vs_dataloader, augment_vs_others, step_vs_eager, head_vs_sklearn)
    return [row for part in parts for row in part(quick)]


if __name__ == "__main__":
    main(run)
