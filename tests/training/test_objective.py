"""Trading accuracy for rare classes after training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from emolab.catalog import samples
from emolab.records import Sample
from emolab.training import checkpoint
from emolab.training.fitting.fitted import Fitted
from emolab.training.inputs.pixel_cache import Pixels
from emolab.training.inputs.training_set import training_set
from emolab.training.judging import finish
from emolab.training.judging.opponent import Bench
from emolab.training.runs.objective import FEWEST, HALF_WAY, choose, log_prior, trade_off
from emolab.training.runs.runs import Run
from emolab.workspace import Workspace
from tests.support.learnable import bars, identifiers, png, quick

CLASSES = ("common", "rare")


def lopsided(n: int = 4000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Calibrated logits of a 95 : 5 problem in which one number tells the classes apart imperfectly, and the truth."""
    rng = np.random.default_rng(seed)
    truth = (rng.random(n) < 0.05).astype(np.int64)
    x = rng.normal(truth * 2.0, 1.0)
    ratio = 2.0 * x - 2.0 + np.log(0.05 / 0.95)  # log odds of rare: two normal densities and the prior
    return np.stack([np.zeros(n), ratio], axis=1), truth


def test_strength_one_is_best_for_mean_recall_and_zero_for_accuracy() -> None:
    logits, truth = lopsided()
    prior = np.log([0.95, 0.05])
    rows = trade_off(logits, truth, prior - prior.mean(), CLASSES)
    assert max(rows, key=lambda row: row["accuracy"])["strength"] <= 0.2
    assert 0.8 <= max(rows, key=lambda row: row["balanced_accuracy"])["strength"] <= 1.2
    assert rows[10]["balanced_accuracy"] > rows[0]["balanced_accuracy"] + 0.1


def test_macro_f1_takes_the_best_strength_within_two_points_of_accuracy() -> None:
    rows = [
        {"strength": 0.0, "accuracy": 0.90, "macro_f1": 0.50},
        {"strength": 0.5, "accuracy": 0.885, "macro_f1": 0.60},
        {"strength": 0.6, "accuracy": 0.885, "macro_f1": 0.60},
        {"strength": 1.0, "accuracy": 0.87, "macro_f1": 0.70},
    ]
    assert choose("macro_f1", rows, 1000) == 0.5
    assert choose("accuracy", rows, 1000) == 0.0
    assert choose("balanced", rows, 1000) == 1.0
    assert choose("macro_f1", rows, FEWEST - 1) == HALF_WAY


def test_the_prior_counts_only_samples_whose_source_can_show_the_class() -> None:
    targets = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    supported = np.array([[True, False], [True, False], [True, True], [True, True]])
    prior = log_prior(targets, supported)
    assert prior[0] - prior[1] == pytest.approx(np.log(0.75 / 0.5))
    assert prior.sum() == pytest.approx(0)
    unseen = log_prior(np.array([[1.0, 0.0]] * 10), np.ones((10, 2), dtype=bool))
    assert unseen[0] - unseen[1] == pytest.approx(np.log(20))


def test_the_objective_is_part_of_the_stored_weights(workspace: Workspace, tmp_path: Path) -> None:
    logits, truth = lopsided(400)
    data = training_set(
        classes=CLASSES, ids=identifiers(800), probs=np.eye(2)[np.tile(truth, 2)],
        splits=["valid"] * 400 + ["train"] * 400,
    )  # fmt: skip
    fitted = Fitted(
        weights={"head.bias": torch.zeros(2)}, logits=logits.astype(np.float32), history=[], best_epoch=0,
        seconds=1.0, mean=(0.5,), std=(0.5,), mismatches=(), precision="float32", parameters=2,
    )  # fmt: skip
    pixels = Pixels.of(np.zeros((800, 16, 16, 1), dtype=np.uint8))
    with workspace.catalog() as catalog, catalog.begin() as tx:
        samples.add(tx, [Sample(id=one, media=f"{one}.png") for one in data.ids])
    (tmp_path / "image.png").write_bytes(png(bars(1, 2)[0][0]))
    recall, bias = {}, {}
    for wanted in ("accuracy", "balanced", "macro_f1"):
        run = Run(tmp_path, replace(quick(), objective=wanted), data)
        bench = Bench(workspace=workspace, run=run, pixels=pixels, media=lambda _: tmp_path / "image.png")
        made, _ = finish.finish(fitted, bench)
        recall[wanted] = made.metrics["valid"]["per_class"][1]["recall"]
        bias[wanted] = checkpoint.read(workspace.models / made.id[:16])[1]["head.bias"]
        assert len(made.metrics["trade_off"]) == 16
    assert bias["accuracy"].tolist() == [0, 0]
    assert bias["balanced"][1] > bias["macro_f1"][1] > 0
    assert recall["balanced"] > recall["macro_f1"] > recall["accuracy"]
