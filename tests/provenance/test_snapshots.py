"""A snapshot's id is its content; a changed folder is noticed; differences are told by kind."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from emolab.catalog import snapshots
from emolab.errors import DataError
from emolab.provenance.snapshots import Content, composition, diff, read, take, verify
from emolab.workspace import Workspace

IDS = tuple(f"{i:064x}" for i in range(4))
CLASSES = ("happiness", "sadness")
TARGETS = np.array([[1, 0], [0.5, 0.5], [0.2, 0.8], [0, 1]], dtype=np.float32)
SPLITS = ("train", "train", "valid", None)
CONTENT = Content(classes=CLASSES, ids=IDS, targets=TARGETS, supported=np.ones((4, 2), dtype=bool), splits=SPLITS)


def test_the_id_depends_on_content_and_not_on_order() -> None:
    rows = [2, 0, 3, 1]
    shuffled = replace(
        CONTENT,
        ids=tuple(IDS[i] for i in rows),
        targets=TARGETS[rows],
        supported=CONTENT.supported[rows],
        splits=tuple(SPLITS[i] for i in rows),
    )
    assert shuffled.id == CONTENT.id
    moved = replace(CONTENT, splits=("valid", *SPLITS[1:]))
    masked = replace(CONTENT, supported=np.array([[1, 1], [1, 1], [1, 0], [1, 1]], dtype=bool))
    renamed = replace(CONTENT, classes=("sadness", "happiness"))
    assert len({each.id for each in (CONTENT, moved, masked, renamed)}) == 4


def test_the_id_of_known_data_never_changes() -> None:
    """Models of years ago name their data by it."""
    assert CONTENT.id == "fada2655eacea76d5706a92b8ecaf7a100a071c5416337f8ee0130a1ded14928"


def test_a_snapshot_has_the_id_that_training_gives_the_same_data() -> None:
    from emolab.training.inputs.training_set import training_set

    trained = training_set(classes=CLASSES, ids=IDS, probs=TARGETS, splits=("train", "train", "valid", "train"))
    assert trained.snapshot == replace(CONTENT, splits=("train", "train", "valid", "train")).id


def test_taking_it_twice_is_one_snapshot_that_reads_back(workspace: Workspace) -> None:
    with workspace.catalog() as catalog, catalog.begin() as tx:
        for _ in range(2):
            taken = take(workspace, tx, classes=CLASSES, ids=IDS, targets=TARGETS, splits=SPLITS, label_version="v1")
        assert snapshots.find(tx, CONTENT.id) is not None
    assert (taken.id, taken.n) == (CONTENT.id, 4)
    assert taken.path == f".emolab/snapshots/{CONTENT.id[:16]}"
    again = verify(workspace, taken)
    assert (again.ids, again.splits, again.classes) == (IDS, SPLITS, CLASSES)
    assert np.array_equal(again.targets, TARGETS)
    assert composition(again) == {"none": {"sadness": 1}, "train": {"happiness": 2}, "valid": {"sadness": 1}}


def test_a_changed_or_missing_file_is_noticed(workspace: Workspace) -> None:
    with workspace.catalog() as catalog, catalog.begin() as tx:
        taken = take(workspace, tx, classes=CLASSES, ids=IDS, targets=TARGETS, splits=SPLITS)
    folder = workspace.root / taken.path
    np.save(folder / "targets.npy", TARGETS[::-1])
    with pytest.raises(DataError, match="was changed: its content has the id"):
        verify(workspace, taken)
    (folder / "targets.npy").unlink()
    with pytest.raises(DataError, match="cannot be read"):
        read(folder)


def test_differences_are_told_by_kind() -> None:
    new = Content(
        classes=("sadness", "happiness"),
        ids=(IDS[1], IDS[2], IDS[3], "f" * 64),
        targets=np.array([[0.9, 0.1], [0.8, 0.2], [0.9, 0.1], [1, 0]], dtype=np.float32),
        supported=np.ones((4, 2), dtype=bool),
        splits=("train", "train", None, "train"),
    )
    found = diff(CONTENT, new)
    assert found.added == ("f" * 64,)
    assert found.removed == (IDS[0],)
    assert found.moved == found.leaked == (IDS[2],)
    assert found.relabelled == (IDS[1], IDS[3])
    assert found.flipped == (IDS[1],)
    assert found.classes_changed
    assert not found.same
    assert diff(CONTENT, CONTENT).same


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ids": (IDS[0],) * 4}, "3 samples occur more than once"),
        ({"splits": SPLITS[:3]}, "got (4, 2) targets and 3 splits"),
        ({"ids": (), "targets": np.empty((0, 2)), "splits": ()}, "nothing to take a snapshot of"),
    ],
)
def test_columns_that_do_not_fit_are_an_error(workspace: Workspace, change: dict[str, object], message: str) -> None:
    columns = {"classes": CLASSES, "ids": IDS, "targets": TARGETS, "splits": SPLITS, **change}
    with workspace.catalog() as catalog, catalog.begin() as tx, pytest.raises(DataError) as caught:
        take(workspace, tx, **columns)  # type: ignore[arg-type]
    assert message in str(caught.value)
