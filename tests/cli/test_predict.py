"""``emolab predict`` on images with little or nothing in them: an error or a note for each, in every kind of output."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emolab.cli.main import run


@pytest.fixture
def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of files outside of a workspace: four that show nothing, four that show little, one that is fine."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.full((40, 40), np.nan, np.float32)).save("nan.tiff")
    Image.fromarray(np.full((40, 40), np.inf, np.float32)).save("inf.tiff")
    Image.new("RGBA", (40, 40), (255, 0, 0, 0)).save("clear.png")
    (tmp_path / "empty.png").touch()
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 60), dtype=np.uint8))
    noise.resize((3, 900)).save("thin.png")
    noise.resize((1, 1)).save("one.png")
    Image.new("RGB", (60, 60), "teal").save("flat.jpg")
    some = np.asarray(noise, dtype=np.float32) / 255
    some[0, :6] = np.nan
    Image.fromarray(some).save("some.tiff")
    noise.save("fine.png")
    return tmp_path


ERRORS = {
    "nan.tiff": "nothing in it: every pixel is NaN or infinite",
    "inf.tiff": "nothing in it: every pixel is NaN or infinite",
    "clear.png": "nothing in it: every pixel is transparent",
    "empty.png": "empty: the file has no bytes",
}
NOTES = {
    "thin.png": "3 x 900 pixels is a strip, mostly padding to the network",
    "one.png": "only 1 x 1 pixels, too few to show a face; all of one colour",
    "flat.jpg": "all of one colour",
    "some.tiff": "6 of its 3,600 pixels are NaN or infinite, taken as black",
    "fine.png": None,
}


def test_each_is_an_error_or_has_a_note_in_json(odd: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["predict", "face48", "--json", str(odd)]) == 1
    out, err = capsys.readouterr()
    rows = {Path(row["file"]).name: row for row in json.loads(out)["predictions"]}
    assert {name: row["error"] for name, row in rows.items() if "error" in row} == ERRORS
    assert {name: row["note"] for name, row in rows.items() if "error" not in row} == NOTES
    assert "4 of 9 images could not be classified" in err


def test_each_is_an_error_or_has_a_note_as_csv(odd: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["predict", "face48", "--csv", *sorted(map(str, odd.iterdir()))]) == 1
    rows = {Path(row["file"]).name: row for row in csv.DictReader(io.StringIO(capsys.readouterr().out))}
    assert {name: row["error"] for name, row in rows.items() if row["error"]} == ERRORS
    assert {name: row["note"] or None for name, row in rows.items() if row["label"]} == NOTES
    assert list(rows["fine.png"])[10:15] == ["contempt", "error", "note", "face", "x"]
    assert run(["predict", "face48", "--csv", "fine.png", "--faces", "off"]) == 0
    assert capsys.readouterr().out.splitlines()[0].endswith(",error,note")


def test_each_is_an_error_or_has_a_note_in_words(
    odd: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert run(["predict", "face48", str(odd)]) == 1
    said = " ".join(capsys.readouterr().err.split())
    for name, reason in ERRORS.items():
        assert f"{name} no answer {reason}" in said
    for name, note in NOTES.items():
        assert (f"note: {name}: {note}" in said) == (note is not None)


def test_one_file_of_one_is_counted_as_one(odd: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["predict", "face48", str(odd / "clear.png")]) == 1
    assert "1 of 1 images could not be classified" in capsys.readouterr().err
    assert run(["predict", "face48", str(odd / "fine.png")]) == 0


@pytest.mark.slow
@pytest.mark.parametrize("size", [(100, 80), (5000, 3000)])
def test_the_largest_image_is_that_of_the_settings(
    size: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["init", "faces"]) == 0
    monkeypatch.chdir(tmp_path / "faces")
    Image.linear_gradient("L").resize(size).save("photo.png")
    limit = size[0] * size[1]
    command = ["predict", "face48", "photo.png", "--faces", "off", "--json", "--set"]
    assert run([*command, f"collect.max_pixels={limit}"]) == 0
    capsys.readouterr()
    assert run([*command, f"collect.max_pixels={limit - 1}"]) == 1
    (row,) = json.loads(capsys.readouterr().out)["predictions"]
    assert row["error"].startswith(f"too large: {size[0]:,} x {size[1]:,} pixels; the limit is ")


def test_settings_count_outside_of_a_workspace_too(odd: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["predict", "face48", "fine.png", "--set", "collect.max_pixels=3599"]) == 1
    assert "60 x 60 pixels; the limit is" in " ".join(capsys.readouterr().err.split())
    assert run(["predict", "face48", "fine.png", "--set", "collect.max_pixel=3599"]) == 1
    assert 'Unknown setting "collect.max_pixel"' in capsys.readouterr().err
    assert run(["predict", "face48", "fine.png", "--faces", "all", "--set", "collect.detector=gone.onnx"]) == 1
    assert "The face detector gone.onnx does not exist" in capsys.readouterr().err
