"""Predictions on disk: appended, memory-mapped, never of two models in one folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emolab.errors import DataError
from emolab.inference import prediction_store
from emolab.records import Predictions

CLASSES = ("happiness", "sadness")


def of(samples: list[str], *, model: str = "m1", start: float = 0.0) -> Predictions:
    n = len(samples)
    return Predictions(
        model_id=model,
        classes=CLASSES,
        samples=samples,
        probs=np.linspace(start, start + 1, 2 * n, dtype=np.float32).reshape(n, 2),
        embeddings=np.full((n, 3), start, dtype=np.float16),
    )


def test_parts_read_back_as_one_in_any_order(tmp_path: Path) -> None:
    prediction_store.append(tmp_path, of(["a", "b"]))
    prediction_store.append(tmp_path, of(["c"], start=5))
    assert prediction_store.known(tmp_path) == ["a", "b", "c"]
    found = prediction_store.read(tmp_path, ["c", "a"])
    assert found.samples == ["c", "a"]
    assert found.probs.tolist() == [[5, 6], [0, pytest.approx(1 / 3)]]
    assert found.embeddings[:, 0].tolist() == [5, 0]


def test_a_single_part_is_memory_mapped(tmp_path: Path) -> None:
    prediction_store.append(tmp_path, of(["a", "b"]))
    assert isinstance(prediction_store.read(tmp_path).embeddings, np.memmap)


def test_a_part_that_a_crash_left_behind_is_ignored_and_overwritten(tmp_path: Path) -> None:
    prediction_store.append(tmp_path, of(["a"]))
    (tmp_path / "00001.probs.npy").write_bytes(b"half a fi")
    assert prediction_store.known(tmp_path) == ["a"]
    prediction_store.append(tmp_path, of(["b"], start=2))
    assert prediction_store.read(tmp_path, ["b"]).probs.tolist() == [[2, 3]]


def test_missing_predictions_are_counted(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There are no predictions in"):
        prediction_store.read(tmp_path / "none")
    prediction_store.append(tmp_path, of(["a"]))
    with pytest.raises(DataError, match="1 of 2 samples have no predictions of m1 yet"):
        prediction_store.read(tmp_path, ["a", "z"])


def test_another_models_predictions_are_refused(tmp_path: Path) -> None:
    prediction_store.append(tmp_path, of(["a"]))
    with pytest.raises(DataError, match="holds predictions of model m1, not of m2"):
        prediction_store.append(tmp_path, of(["b"], model="m2"))
