"""Learning without labels, and the pictures that an export is calibrated by, leave out what has ended as well."""

from __future__ import annotations

import pytest

import emolab
from emolab.loop.model.pretrain import pretrain
from emolab.modalities.preparing import Preprocessing
from emolab.training.export.export import material_of
from emolab.workspace import Workspace
from tests.support.learnable import QUICK, configure, fill_workspace


@pytest.fixture
def ready(workspace: Workspace) -> tuple[Workspace, list[str]]:
    """64 labelled images in train and valid, of which eight in each lost their consent; their ids."""
    fill_workspace(workspace, 64)
    ready = configure(workspace, QUICK + "\ntensorboard = false")
    emolab.aggregate(ready)
    emolab.draw_splits(ready, {"train": 0.5, "valid": 0.5})
    splits = ready.samples()["split"]
    ended = [name for split in ("train", "valid") for name in splits.index[splits == split][:8]]
    emolab.end_consent(ready, ids=ended)
    return ready, ended


@pytest.mark.slow
def test_a_pretraining_sees_none_of_it(ready: tuple[Workspace, list[str]]) -> None:
    workspace, _ = ready
    found = pretrain(workspace.with_settings({"training.weights": "none"}), epochs=1)
    assert found.start.images == int((workspace.samples()["split"] == "train").sum()) - 8
    emolab.add_consent(workspace, ids=ready[1], text="Yes, after all.")
    assert (
        pretrain(workspace.with_settings({"training.weights": "none"}), epochs=1).start.images == found.start.images + 8
    )


def test_an_export_is_neither_checked_nor_calibrated_by_it(ready: tuple[Workspace, list[str]]) -> None:
    workspace, ended = ready
    classes, wanted = workspace.config.project.classes, Preprocessing(16, "gray")
    found = material_of(workspace, classes, wanted, None)
    emolab.add_consent(workspace, ids=ended, text="Yes, after all.")
    whole = material_of(workspace, classes, wanted, None)
    assert found is not None and found.calibration is not None
    assert whole is not None and whole.calibration is not None
    assert (len(whole.images) - len(found.images), len(whole.calibration) - len(found.calibration)) == (8, 8)
