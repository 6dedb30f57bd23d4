"""What a run learns from: checks, masking, identity."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emolab.errors import DataError
from emolab.training.inputs.training_set import TrainingSet, training_set

IDS = ["a" * 64, "b" * 64, "c" * 64]
SOFT = np.array([[0.5, 0.5], [1.0, 0.0], [0.0, 1.0]])


def made(**changes: object) -> TrainingSet:
    options: dict[str, object] = {
        "classes": ("happy", "sad"), "ids": IDS, "probs": SOFT, "splits": ["train", "train", "valid"],
    }  # fmt: skip
    return training_set(**{**options, **changes})  # type: ignore[arg-type]


def test_splits_become_positions_and_test_samples_stay_out() -> None:
    data = made(splits=["train", "train", "test"])
    assert data.ids == tuple(IDS[:2])
    assert data.train.tolist() == [0, 1]
    assert data.valid.tolist() == []


def test_targets_are_renormalised_over_what_the_source_can_show() -> None:
    data = made(supported=np.array([[True, False], [True, True], [True, True]]))
    assert data.targets[0].tolist() == [1.0, 0.0]


def test_a_sample_whose_votes_are_all_outside_of_its_source_is_left_out() -> None:
    data = made(
        ids=[*IDS, "d" * 64],
        probs=np.array([*SOFT, [0.0, 1.0]]),
        splits=["train", "train", "valid", "train"],
        supported=np.array([[True, True]] * 3 + [[True, False]]),
    )
    assert data.ids == tuple(IDS)


def test_the_snapshot_knows_samples_labels_and_splits_but_not_their_order() -> None:
    same = made(ids=IDS[::-1], probs=SOFT[::-1], splits=["valid", "train", "train"])
    assert same.snapshot == made().snapshot
    assert made(splits=["train", "train", "train"]).snapshot != made().snapshot
    assert made(probs=SOFT[[1, 1, 2]]).snapshot != made().snapshot
    assert made(classes=("happy", "angry")).snapshot != made().snapshot


def test_the_snapshot_is_the_one_of_the_datasets_room() -> None:
    from emolab.provenance.snapshots import Content

    data = made()
    content = Content(
        classes=data.classes,
        ids=data.ids,
        targets=data.targets,
        supported=data.supported,
        splits=("train", "train", "valid"),
    )
    assert content.id == data.snapshot


def test_what_is_saved_is_what_is_read(tmp_path: Path) -> None:
    data = made(supported=np.array([[True, False], [True, True], [True, True]]))
    data.save(tmp_path)
    again = TrainingSet.read(tmp_path)
    assert again.snapshot == data.snapshot
    assert again.hard.tolist() == data.hard.tolist()


def test_one_training_sample_is_not_enough() -> None:
    with pytest.raises(DataError, match="Only 1 of 3 labelled samples left to train on; at least 2 are needed"):
        made(splits=["train", "valid", "valid"])


def test_no_labels_at_all_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(DataError, match=r'no labelled samples to train on\. Get votes with "emolab label pull"'):
        made(ids=[], probs=np.empty((0, 2)), splits=[])


def test_numbers_that_are_no_distribution_are_refused() -> None:
    with pytest.raises(DataError, match="1 of 3 label distributions hold negative or missing numbers"):
        made(probs=np.array([[np.nan, 1.0], [1.0, 0.0], [0.0, 1.0]]))
