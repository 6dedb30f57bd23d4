"""The detector's weights: the file that comes with emolab, or one of the user's own."""

from __future__ import annotations

import hashlib
import socket
from pathlib import Path

import pytest

from emolab.errors import DataError
from emolab.modalities.image import detector_weights

SHA256 = "104ee26c71d5c270ce79a6b3dced91c91013260d29a6bf18f9296c5b8c4c2b12"


def test_the_bundled_detector_is_the_published_file_with_its_licence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "socket")
    file = detector_weights.detector("")
    assert hashlib.sha256(file.read_bytes()).hexdigest() == SHA256
    assert "Apache License" in (file.parent / "LICENSE").read_text()
    assert SHA256 in (file.parent / "about.md").read_text()


def test_a_file_of_the_users_own_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine.onnx").touch()
    assert (
        detector_weights.detector(str(tmp_path / "mine.onnx"))
        == detector_weights.detector("~/mine.onnx")
        == tmp_path / "mine.onnx"
    )


def test_a_named_file_that_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"The face detector .*gone\.onnx does not exist \(collect\.detector\)"
    ) as error:
        detector_weights.detector(str(tmp_path / "gone.onnx"))
    assert 'or "" for the one that comes with emolab' in str(error.value.hint)


def test_a_damaged_installation_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detector_weights, "BUNDLED", tmp_path / "yunet.onnx")
    with pytest.raises(DataError, match=r"The face detector that comes with emolab is missing") as error:
        detector_weights.detector("")
    assert error.value.hint == "Install emolab again."
