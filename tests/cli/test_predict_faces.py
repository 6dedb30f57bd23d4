"""``emolab predict --faces``: every face of a picture gets an answer of its own, a picture without one says so."""

from __future__ import annotations

import csv
import io
import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emolab.serving.predictor import within
from emolab.workspace import Workspace
from tests.support.learnable import QUICK, configure, fill_workspace

RunCli = Callable[..., "subprocess.CompletedProcess[str]"]
OFFLINE = {"https_proxy": "http://127.0.0.1:9", "OMP_NUM_THREADS": "1", "COLUMNS": "200"}


@pytest.fixture
def trained(workspace: Workspace) -> Workspace:
    """A workspace with a small champion."""
    pytest.importorskip("torch", reason="predicting needs torch")
    pytest.importorskip("cv2", reason="finding faces needs OpenCV")
    from emolab.loop.model.train import train

    fill_workspace(workspace)
    configured = configure(workspace, QUICK + "\ntensorboard = false")
    train(configured)
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


@pytest.mark.slow
def test_every_face_has_its_answer_and_pictures_without_one_are_named(
    trained: Workspace, pictures: Sequence[str], run_cli: RunCli
) -> None:
    command = ["predict", "champion", *pictures]
    done = run_cli(*command, "--json", cwd=trained.root, env=OFFLINE)
    pair, room, diary = pictures
    told = json.loads(done.stdout)
    rows = {(row["file"], row.get("face")): row for row in told["predictions"]}
    assert (told["files"], list(rows)) == (3, [(pair, 1), (pair, 2), (room, None), (diary, None)])
    for name in ((pair, 1), (pair, 2)):
        assert sum(rows[name]["probs"].values()) == pytest.approx(1, abs=1e-4)
        assert rows[name]["label"] in trained.config.project.classes
    assert rows[room, None] == {"file": room, "no_face": True, "note": None}
    assert (told["no_face"], told["failed"]) == (1, 1)
    assert "not an image: a text, not a picture" in rows[diary, None]["error"]
    assert (done.returncode, "1 of 3 files could not be classified" in done.stderr) == (1, True)  # images, not faces
    left, right = sorted((rows[pair, i]["box"] for i in (1, 2)), key=lambda box: box["x"])
    for box, (x, y) in ((left, (222, 114)), (right, (730, 167))):  # where her nose is in each
        assert box["x"] < x < box["x"] + box["width"] and box["y"] < y < box["y"] + box["height"]
    assert all(0.6 < rows[pair, i]["score"] <= 1 for i in (1, 2))
    for i in (1, 2):
        (x, y), (left_x, _) = (rows[pair, i]["landmarks"][name] for name in ("right_eye", "left_eye"))
        box = rows[pair, i]["box"]
        assert box["x"] < x < left_x < box["x"] + box["width"] and box["y"] < y < box["y"] + box["height"]
    assert "box" not in rows[room, None]
    shown = run_cli(*command[:-2], cwd=trained.root, env=OFFLINE, check=True).stderr
    assert "pair.png #1" in shown and "pair.png #2" in shown
    assert f"{left['width']} x {left['height']} at {left['x']}, {left['y']}" in shown
    table = list(csv.DictReader(io.StringIO(run_cli(*command, "--csv", cwd=trained.root, env=OFFLINE).stdout)))
    assert {key: int(table[0][key]) for key in ("x", "y", "width", "height")} in (left, right)
    assert float(table[0]["score"]) == rows[table[0]["file"], int(table[0]["face"])]["score"]
    first = rows[table[0]["file"], 1]["landmarks"]["nose"]
    assert [float(table[0][f"nose_{axis}"]) for axis in "xy"] == first
    assert [row["x"] for row in table[2:]] == ["", ""]


@pytest.mark.slow
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_box_is_in_pixels_of_the_upright_picture(
    orientation: int, trained: Workspace, tmp_path: Path, run_cli: RunCli
) -> None:
    portrait = Image.fromarray(pytest.importorskip("skimage.data").astronaut()).crop((0, 0, 500, 400))
    raw = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = portrait.transpose(raw[orientation]) if orientation in raw else portrait
    stored.save(tmp_path / "she.png", exif=exif)
    command = ["predict", "champion", str(tmp_path / "she.png"), "--json"]
    (row,) = json.loads(run_cli(*command, cwd=trained.root, env=OFFLINE, check=True).stdout)["predictions"]
    box = row["box"]
    assert box["x"] < 222 < box["x"] + box["width"] and box["y"] < 114 < box["y"] + box["height"]
    assert 60 < box["width"] < 150


@pytest.mark.parametrize(
    ("box", "inside"),
    [
        ((10.4, 20.6, 30.0, 40.0), (10, 21, 30, 40)),
        ((-5.0, -2.0, 30.0, 40.0), (0, 0, 25, 38)),
        ((90.0, 70.0, 30.0, 40.0), (90, 70, 10, 10)),
        ((-10.0, -10.0, 300.0, 300.0), (0, 0, 100, 80)),
    ],
)
def test_a_box_is_cut_off_at_the_border(
    box: tuple[float, float, float, float], inside: tuple[int, int, int, int]
) -> None:
    assert within(box, (100, 80)) == inside


@pytest.mark.slow
def test_the_answer_is_about_the_crop_that_collect_would_keep(
    trained: Workspace, pictures: Sequence[str], tmp_path: Path, run_cli: RunCli
) -> None:
    other = Workspace.init(tmp_path / "other", classes=("happiness", "sadness"))
    run_cli("collect", pictures[0], cwd=other.root, env=OFFLINE, check=True)
    crops = sorted(other.media.rglob("*.png"))
    by_crop = run_cli(
        "predict", "champion", *map(str, crops), "--faces", "off", "--json", cwd=trained.root, env=OFFLINE, check=True
    )
    by_face = run_cli("predict", "champion", pictures[0], "--json", cwd=trained.root, env=OFFLINE,
                      check=True)  # fmt: skip

    def answers(done: subprocess.CompletedProcess[str]) -> list[list[float]]:
        return sorted(list(row["probs"].values()) for row in json.loads(done.stdout)["predictions"])

    np.testing.assert_allclose(answers(by_face), answers(by_crop), atol=1e-5)


@pytest.mark.slow
def test_a_detector_that_does_not_exist_is_named(trained: Workspace, tmp_path: Path, run_cli: RunCli) -> None:
    Image.new("RGB", (300, 200), "gray").save(tmp_path / "room.png")
    command = ["predict", "champion", str(tmp_path / "room.png")]
    gone = run_cli(*command, "--set", "collect.detector=/nowhere.onnx", cwd=trained.root, env=OFFLINE)
    assert gone.returncode == 1
    assert "The face detector /nowhere.onnx does not exist (collect.detector)." in gone.stderr
    assert 'or "" for the one that comes with emolab' in " ".join(gone.stderr.split())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("faces", "answered", "without"),
    [("auto", 3, 1), ("all", 2, 2), ("largest", 1, 2), ("off", 3, 0)],
)
def test_what_is_searched_for_faces_is_as_in_collect(
    faces: str,
    answered: int,
    without: int,
    trained: Workspace,
    pictures: Sequence[str],
    tmp_path: Path,
    run_cli: RunCli,
) -> None:
    Image.effect_noise((48, 48), 40).save(tmp_path / "crop.png")  # small: a face crop to auto, without a face to all
    command = ["predict", "champion", *pictures[:2], str(tmp_path / "crop.png"), "--faces", faces, "--json"]
    done = run_cli(*command, cwd=trained.root, env=OFFLINE)
    rows = json.loads(done.stdout)["predictions"]
    assert sum("label" in row for row in rows) == answered
    assert sum("no_face" in row for row in rows) == without
    assert done.returncode == 0


@pytest.mark.slow
def test_small_faces_are_counted_in_a_note(trained: Workspace, pictures: Sequence[str], run_cli: RunCli) -> None:
    command = ["predict", "champion", pictures[0], "--json", "--set", "collect.min_face=60"]
    (row,) = json.loads(run_cli(*command, cwd=trained.root, env=OFFLINE, check=True).stdout)["predictions"]
    assert (row["face"], row["note"]) == (1, "1 smaller than 60 px left out (collect.min_face)")


@pytest.mark.slow
def test_drawn_pictures_have_boxes_and_bars_and_nothing_of_the_file_is_lost(
    trained: Workspace, pictures: Sequence[str], tmp_path: Path, run_cli: RunCli
) -> None:
    (tmp_path / "deep").mkdir()
    Image.effect_noise((48, 48), 40).convert("RGB").save(tmp_path / "deep" / "crop.jpg")
    inputs = [*map(Path, pictures), tmp_path / "deep" / "crop.jpg"]
    before = [path.read_bytes() for path in inputs]
    command = ["predict", "champion", *map(str, inputs), "--json", "--draw", str(tmp_path / "drawn")]
    done = run_cli(*command, cwd=trained.root, env=OFFLINE)
    drawn = sorted(path.relative_to(tmp_path / "drawn").as_posix() for path in (tmp_path / "drawn").rglob("*.jpg"))
    assert drawn == ["deep/crop.jpg", "pair.png.jpg"]  # the room has no face, the diary is no picture
    assert len(json.loads(done.stdout)["drawn"]) == 2
    with Image.open(tmp_path / "drawn" / "pair.png.jpg") as shown, Image.open(pictures[0]) as whole:
        assert shown.size == whole.size
        assert len(shown.getexif()) == 0
        changed = np.abs(np.asarray(shown, float) - np.asarray(whole.convert("RGB"), float)).max(axis=2) > 60
    for row in json.loads(done.stdout)["predictions"][:2]:
        box = row["box"]
        assert changed[box["y"] : box["y"] + box["height"], box["x"]].mean() > 0.5  # the left edge of the box
        inner = changed[box["y"] + 10 : box["y"] + box["height"] - 10, box["x"] + 10 : box["x"] + box["width"] - 10]
        assert inner.mean() < 0.02  # the face itself stays as it is
    with Image.open(tmp_path / "drawn" / "deep" / "crop.jpg") as shown:
        assert shown.width >= 240 and shown.height > shown.width  # enlarged, the bars below it
    assert [path.read_bytes() for path in inputs] == before


@pytest.mark.slow
def test_drawing_never_replaces_a_picture_that_was_classified(
    trained: Workspace, tmp_path: Path, run_cli: RunCli
) -> None:
    Image.effect_noise((48, 48), 40).save(tmp_path / "crop.jpg")
    before = (tmp_path / "crop.jpg").read_bytes()
    command = ["predict", "champion", str(tmp_path / "crop.jpg"), "--draw", str(tmp_path)]
    done = run_cli(*command, cwd=trained.root, env=OFFLINE)
    assert (done.returncode, (tmp_path / "crop.jpg").read_bytes()) == (1, before)
    assert "is a picture of yours; it would be replaced" in " ".join(done.stderr.split())
