"""``emolab predict --faces``: every face of a picture gets an answer of its own, a picture without one says so."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from learnable import QUICK, configure, fill_workspace
from PIL import Image

from emolab.workspace import Workspace

RunCli = Callable[..., "subprocess.CompletedProcess[str]"]
OFFLINE = {"https_proxy": "http://127.0.0.1:9", "OMP_NUM_THREADS": "1", "COLUMNS": "200"}


@pytest.fixture
def trained(workspace: Workspace) -> Workspace:
    """A workspace with a small champion."""
    pytest.importorskip("torch", reason="predicting needs torch")
    pytest.importorskip("cv2", reason="finding faces needs OpenCV")
    from emolab.cli.train import train_workspace

    fill_workspace(workspace)
    configured = configure(workspace, QUICK + "\ntensorboard = false")
    train_workspace(configured)
    return configured


@pytest.fixture
def pictures(tmp_path: Path) -> Sequence[str]:
    """Two astronauts (Eileen Collins, NASA, public domain), an empty room, and a file that is no picture."""
    portrait = Image.fromarray(pytest.importorskip("skimage.data").astronaut())
    pair = Image.new("RGB", (1024, 512), "gray")
    pair.paste(portrait, (0, 0))
    pair.paste(portrait.resize((300, 300)), (600, 100))
    pair.save(tmp_path / "pair.png")
    Image.new("RGB", (300, 200), "gray").save(tmp_path / "room.png")
    (tmp_path / "diary.png").write_text("Dear diary")
    return [str(tmp_path / name) for name in ("pair.png", "room.png", "diary.png")]


@pytest.mark.shared
def test_every_face_has_its_answer_and_pictures_without_one_are_named(
    trained: Workspace, pictures: Sequence[str], shared_weights: Path, run_cli: RunCli
) -> None:
    found = f"collect.detector={shared_weights / 'face_detection_yunet.onnx'}"
    command = ["predict", "champion", "--faces", "--set", found, *pictures]
    done = run_cli(*command, "--json", cwd=trained.root, env=OFFLINE)
    pair, room, diary = pictures
    rows = {row["file"]: row for row in json.loads(done.stdout)["predictions"]}
    assert list(rows) == [f"{pair}#1", f"{pair}#2", room, diary]
    for name in (f"{pair}#1", f"{pair}#2"):
        assert sum(rows[name]["probs"].values()) == pytest.approx(1, abs=1e-4)
        assert rows[name]["label"] in trained.config.project.classes
    assert rows[room]["error"] == "no face found"
    assert "no image format starts with" in rows[diary]["error"]
    assert (done.returncode, "2 of 4 images could not be classified" in done.stderr) == (1, True)
    shown = run_cli(*command[:-2], cwd=trained.root, env=OFFLINE, check=True).stderr
    assert "pair.png#1" in shown and "pair.png#2" in shown


@pytest.mark.shared
def test_the_answer_is_about_the_crop_that_collect_would_keep(
    trained: Workspace, pictures: Sequence[str], shared_weights: Path, tmp_path: Path, run_cli: RunCli
) -> None:
    detector = ["--set", f"collect.detector={shared_weights / 'face_detection_yunet.onnx'}"]
    other = Workspace.init(tmp_path / "other", classes=("happiness", "sadness"))
    run_cli("collect", pictures[0], *detector, cwd=other.root, env=OFFLINE, check=True)
    crops = sorted(other.media.rglob("*.png"))
    by_crop = run_cli("predict", "champion", *map(str, crops), "--json", cwd=trained.root, env=OFFLINE, check=True)
    by_face = run_cli("predict", "champion", "--faces", *detector, pictures[0], "--json", cwd=trained.root, env=OFFLINE,
                      check=True)  # fmt: skip

    def answers(done: subprocess.CompletedProcess[str]) -> list[list[float]]:
        return sorted(list(row["probs"].values()) for row in json.loads(done.stdout)["predictions"])

    np.testing.assert_allclose(answers(by_face), answers(by_crop), atol=1e-5)


def test_without_the_detector_the_error_says_where_to_get_it(
    trained: Workspace, tmp_path: Path, run_cli: RunCli
) -> None:
    Image.new("RGB", (300, 200), "gray").save(tmp_path / "room.png")
    command = ["predict", "champion", "--faces", str(tmp_path / "room.png")]
    gone = run_cli(*command, "--set", "collect.detector=/nowhere.onnx", cwd=trained.root, env=OFFLINE)
    assert gone.returncode == 1
    assert "The face detector /nowhere.onnx does not exist (collect.detector)." in gone.stderr
    offline = {**OFFLINE, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    away = run_cli(*command, cwd=trained.root, env=offline)
    assert away.returncode == 1
    assert "The face detector could not be downloaded from https://" in away.stderr
    assert "--set collect.detector=PATH" in away.stderr
