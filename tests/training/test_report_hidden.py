"""The page of a model shows nobody who did not agree to be shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import emolab
from emolab.loop.model.train import train
from emolab.workspace import Workspace
from tests.support.learnable import QUICK, configure, fill_workspace

pytestmark = pytest.mark.slow


def pictures(page: Path) -> set[str]:
    """The pictures among the mistakes, as they stand in the page."""
    return set(re.findall(r"data:image/jpeg;base64,[^\"]+", page.read_text(encoding="utf-8")))


def test_mistakes_of_samples_that_may_not_be_shown_are_left_out(workspace: Workspace) -> None:
    ids = [*fill_workspace(workspace)]
    ready = configure(workspace, QUICK + "\ntensorboard = false")
    ready = ready.with_settings({"training.epochs": 1, "training.lr": 1e-7})
    before = pictures(train(ready).report)
    assert len(before) >= 3
    emolab.add_consent(ready, ids=ids[::2], text="To learn from.", scope="train")
    some = train(ready)
    assert set() < pictures(some.report) < before
    emolab.add_consent(ready, ids=ids[1::2], text="To learn from.", scope="train")
    none = train(ready)
    assert none.model.id == some.model.id, "they are learned from all the same"
    assert pictures(none.report) == set()
