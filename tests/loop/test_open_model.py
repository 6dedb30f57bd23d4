"""Which model a name means, and that it says without PyTorch what it says with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emolab.errors import ConfigError, DataError, EmolabError, MissingExtra, UnknownName
from emolab.inference import engine_cache, runtime
from emolab.loop.model import open_model as opening
from emolab.loop.model.open_model import open_model
from emolab.training import predict
from emolab.training.export import parity
from emolab.training.export.export import export
from emolab.training.networks import bundled
from emolab.workspace import Workspace
from tests.support.learnable import trained_workspace

pytest.importorskip("onnxruntime")


@pytest.mark.parametrize("flips", [None, True, False])
def test_face48_says_without_pytorch_what_it_says_with_it(flips: bool | None) -> None:
    folder = bundled.folder("face48")
    assert folder is not None
    network = predict.load(folder, device="cpu")
    network = network if flips is None else network.with_flips(flips)
    served = open_model(None, "face48", threads=1, flips=flips)
    images = parity.synthetic(24, served.preprocessing)
    np.testing.assert_allclose(served.probabilities(images), network.probabilities(images)[0], atol=1e-5)
    assert (served.id, served.classes) == (network.checkpoint.id, network.checkpoint.classes)
    assert served.card


def test_a_file_beside_another_model_is_not_taken_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(opening, "_kept", lambda *_: asked.append(_) or "made")
    folder = bundled.folder("face48")
    assert folder is not None
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("model.json", "model.safetensors", bundled.SERVED):
        (copy / name).write_bytes((folder / name).read_bytes())
    assert not asked
    open_model(None, copy)
    assert not asked
    text = (copy / "model.json").read_text()
    (copy / "model.json").write_text(text.replace('"id": "', '"id": "another-'))
    open_model(None, copy)
    assert asked


@pytest.mark.slow
def test_a_trained_model_is_prepared_once_by_a_process_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = trained_workspace(tmp_path / "faces", 60)
    started: list[list[str]] = []
    run = subprocess.run

    def counted(command: list[str], **how: Any) -> subprocess.CompletedProcess[str]:
        started.append(command)
        return run(command, **how)

    monkeypatch.setattr(opening.subprocess, "run", counted)
    served = open_model(workspace, "champion", threads=1)
    assert [command[:3] for command in started] == [[sys.executable, "-m", "emolab.training.export.engine_process"]]
    assert engine_cache.any_kept(workspace.cache, served.id, runtime.open_export) is not None
    again = open_model(workspace, served.id[:10], threads=1)
    assert len(started) == 1
    assert again.id == served.id
    network = predict.load(next(workspace.models.glob("*/model.json")).parent, device="cpu")
    images = parity.synthetic(12, served.preprocessing)
    np.testing.assert_allclose(served.probabilities(images), network.probabilities(images)[0], atol=1e-5)


@pytest.mark.slow
def test_an_exported_file_is_a_model_too_and_judges_as_it_was_exported_to(tmp_path: Path) -> None:
    folder = bundled.folder("face48")
    assert folder is not None
    export(folder, tmp_path / "twice.onnx", to="onnx", flips=True)
    served = open_model(None, tmp_path / "twice.onnx")
    images = parity.synthetic(8, served.preprocessing)
    wanted = predict.load(folder, device="cpu").with_flips(True).probabilities(images)[0]
    np.testing.assert_allclose(served.probabilities(images), wanted, atol=1e-5)
    with pytest.raises(ConfigError, match="judges images as it was exported to"):
        open_model(None, tmp_path / "twice.onnx", flips=False)


def test_names_that_mean_nothing_and_files_that_are_damaged_are_said(tmp_path: Path, workspace: Workspace) -> None:
    (tmp_path / "a.onnx").write_bytes(b"no model")
    with pytest.raises(DataError, match=r"a\.onnx is damaged"):
        open_model(None, tmp_path / "a.onnx")
    for place in (None, workspace):
        with pytest.raises(UnknownName):
            open_model(place, "nobody")


def test_what_cannot_be_prepared_says_why(
    tmp_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = bundled.folder("face48")
    assert folder is not None
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "model.json").write_bytes((folder / "model.json").read_bytes())  # and no weights

    def ends(status: int, said: str) -> None:
        done = subprocess.CompletedProcess([], status, "", said)
        monkeypatch.setattr(opening.subprocess, "run", lambda *_, **__: done)

    ends(1, "Traceback\nThere is no sense in it.\n")
    with pytest.raises(EmolabError, match=r"without PyTorch: There is no sense in it\."):
        open_model(workspace, copy)
    ends(2, "ONNX is not installed.\n")
    with pytest.raises(MissingExtra):
        open_model(workspace, copy)
    ends(0, "")
    with pytest.raises(EmolabError, match=r"could not be prepared"):
        open_model(workspace, copy)
