"""The page in examples/ that shows how to build one's own: every tab of it, over workspaces in different states."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from emolab.catalog import models, samples
from emolab.inference import prediction_store
from emolab.loop.label.aggregate import aggregate
from emolab.records import Predictions
from emolab.workspace import Workspace
from tests.support.learnable import fill_workspace, trained_workspace
from tests.support.paths import ROOT

testing = pytest.importorskip("streamlit.testing.v1")
PAGE = ROOT / "examples" / "streamlit_app.py"
pytestmark = pytest.mark.slow


def shown(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The page over the workspace in ``folder``, run once, without an exception."""
    monkeypatch.setattr("sys.argv", ["streamlit_app.py", str(folder)])
    page = testing.AppTest.from_file(str(PAGE), default_timeout=120).run()
    assert not page.exception
    return page


def counts(page: Any) -> dict[str, str]:
    return {metric.label: metric.value for metric in page.metric}


def test_a_folder_that_is_no_workspace_is_said_with_what_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = shown(tmp_path, monkeypatch)
    assert "There is no emolab workspace" in page.error[0].value
    assert "emolab init" in page.error[0].value


def test_an_empty_workspace_says_on_every_tab_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Workspace.init(tmp_path / "faces", classes=("happy", "sad"))
    page = shown(tmp_path / "faces", monkeypatch)
    assert counts(page) == {"samples": "0", "votes": "0", "labels": "0", "people": "0"}
    assert [info.value.split(".")[0] for info in page.info] == [
        "There are no votes yet", "No face has labels of several people yet", 'Unknown model "champion"',
    ]  # fmt: skip


def test_votes_people_and_what_the_model_says_otherwise_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = trained_workspace(tmp_path / "faces", 36)
    aggregate(workspace)
    with workspace.catalog() as catalog, catalog.connect() as conn:
        known = sorted(sample.id for sample in samples.iterate(conn))
        (model,) = models.list_all(conn)
    said = np.tile(np.array([0.2, 0.7, 0.1], np.float32), (len(known), 1))  # always "sad", a third of it right
    prediction_store.append(
        workspace.predictions_folder / model.id,
        Predictions(
            model_id=model.id,
            classes=("happy", "sad", "neutral"),
            samples=known,
            probs=said,
            embeddings=np.zeros((len(known), 2), np.float32),
        ),
    )
    page = shown(workspace.root, monkeypatch)
    told = counts(page)
    assert (told["samples"], told["votes"], told["labels"], told["people"]) == ("36", "72", "36", "2")
    assert told["agrees with the labels of"] == "33.3%"
    assert len(page.text) == 24, "twelve faces on each of two walls"
    assert {text.value.split(" · ")[1] for text in page.text[12:]} == {"the model: sad"}
    assert not page.info


def test_a_picture_is_tried_and_one_that_is_none_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = Workspace.init(tmp_path / "faces", classes=("happy", "sad"))
    fill_workspace(workspace, 2)
    page = shown(workspace.root, monkeypatch)
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (48, 48), np.uint8)).save(stream, "PNG")
    page.file_uploader[0].upload("face.png", stream.getvalue(), "image/png").run()
    assert not page.exception
    assert "%" in page.text[-1].value
    page.file_uploader[0].clear().upload("other.png", b"no picture", "image/png").run()
    assert "no picture that can be read" in page.error[0].value
