"""The real trainer in a replayed campaign: the whole network learns in every round."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emolab.active_learning.simulation.frozen_trainer import judged
from emolab.active_learning.simulation.records import SimulatedModel, Trainer
from emolab.config import TrainingConfig
from emolab.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emolab.training.simulation_trainer import FineTuned


def fine_tuning(
    folder: Path, settings: dict[str, Any], ids: dict[str, list[str]], truth: NDArray[np.int64]
) -> Callable[[int], Trainer]:
    """What makes the trainer of a campaign by its seed, on the images kept in ``folder``."""
    from emolab.modalities.preparing import Preprocessing
    from emolab.training import simulation_trainer
    from emolab.training.inputs import pixel_cache
    from emolab.training.runs import recipes

    config, n = TrainingConfig(**settings["training"]), len(ids["pool"])
    made = recipes.plan(config, n_train=n, color=settings["color"])
    wanted = Preprocessing(made.size, settings["color"])

    def gone(_: str) -> bytes:
        raise DataError(f"Images are missing from {folder / 'cache'}.", hint="Run the same command again.")

    images = pixel_cache.fill(folder / "cache", [*ids["pool"], *ids["judge"]], gone, wanted)
    classes = tuple(settings["classes"])

    def trainer(seed: int) -> Trainer:
        return Tuned(
            simulation_trainer.FineTuned(
                images=images.only(np.arange(n)),
                judge=images.only(np.arange(n, len(images))),
                classes=classes,
                config=replace(config, seed=seed),
                color=settings["color"],
            ),
            truth,
        )

    return trainer


class Tuned:
    """The real trainer as a :class:`Trainer`: it has nothing to settle."""

    def __init__(self, learner: FineTuned, truth: NDArray[np.int64]) -> None:
        self.learner, self.truth = learner, truth

    def settle(self, rows: NDArray[np.int64], targets: NDArray[np.floating[Any]]) -> None:
        """Nothing is chosen on the first samples: the recipe is fixed."""

    def __call__(self, rows: NDArray[np.int64], targets: NDArray[np.floating[Any]]) -> SimulatedModel:
        """Train on ``rows`` from scratch and look at everybody."""
        probs, found, judge = self.learner(rows, targets)
        return SimulatedModel(probs, found, judged(judge, self.truth, self.learner.classes))
