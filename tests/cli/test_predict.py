"""``emolab predict`` on images with little or nothing in them: an error or a note for each, in every kind of output."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emolab.cli.main import run
from tests.support.calling import emolab, one_line


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
    assert "4 of 9 files could not be classified" in err


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
    assert "1 of 1 files could not be classified" in capsys.readouterr().err
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


@pytest.fixture
def pile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Five crops and a text, in a folder with the command line in it."""
    monkeypatch.chdir(tmp_path)
    for i in range(5):
        Image.effect_noise((48, 48), 30 + 10 * i).save(tmp_path / f"c{i}.png")
    (tmp_path / "d.png").write_text("Dear diary")
    return tmp_path


def test_lines_of_json_are_the_rows_of_the_whole_answer(pile: Path) -> None:
    whole, lines = emolab("predict", "face48", ".", "--json"), emolab("predict", "face48", ".", "--jsonl")
    rows = json.loads(whole.out)["predictions"]
    assert [json.loads(line) for line in lines.out.splitlines()] == rows
    assert (len(rows), whole.code, lines.code) == (6, 1, 1)
    assert "1 of 6 files could not be classified; each is listed with its reason." in lines.err


def test_what_cannot_be_had_with_lines_is_said_and_what_is_left_alone_too(pile: Path) -> None:
    for more in (("--json",), ("--csv",), ("--out", "a.csv"), ("--draw", "d"), ("--explain", "e")):
        said = emolab("predict", "face48", ".", "--jsonl", *more)
        assert (said.code, said.out) == (2, "")
        assert f"--jsonl and {more[0]} exclude each other" in said.err
    (pile / "notes.docx").write_bytes(b"PK")
    assert "Left alone: 1 .docx" in emolab("predict", "face48", ".", "--jsonl").err


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".csv", ".parquet"])
def test_answers_are_written_to_a_file_of_any_format(pile: Path, suffix: str) -> None:
    said = emolab("predict", "face48", ".", "--out", f"all{suffix}", "--coverage", "0.9", "--json")
    rows = json.loads(said.out)["predictions"]
    file = pile / f"all{suffix}"
    if suffix == ".json":
        assert json.loads(file.read_text()) == json.loads(said.out)
    elif suffix == ".jsonl":
        assert [json.loads(line) for line in file.read_text().splitlines()] == rows
    elif suffix == ".csv":
        table = list(csv.DictReader(io.StringIO(file.read_text())))
        assert [row["file"] for row in table] == [row["file"] for row in rows]
        assert [row["among"].split() for row in table] == [row.get("among", []) for row in rows]
    else:
        parquet = pytest.importorskip("pyarrow.parquet")
        table = parquet.read_table(file).to_pylist()
        assert [row["label"] for row in table] == [row.get("label") for row in rows]
        assert table[0]["p_happiness"] == rows[0]["probs"]["happiness"]
        assert table[-1]["error"] == rows[-1]["error"]


def test_a_file_that_says_no_format_is_refused_before_anything_is_computed(pile: Path) -> None:
    said = emolab("predict", "face48", ".", "--out", "answers.txt")
    assert one_line(said).startswith("error: answers.txt says no format.")
    assert not (pile / "answers.txt").exists()


def test_patterns_and_standard_input_are_images_too(pile: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = emolab("predict", "face48", "c[0-2].png", "**/c3.png", "--json")
    assert [row["file"] for row in json.loads(said.out)["predictions"]] == ["c0.png", "c1.png", "c2.png", "c3.png"]
    assert one_line(emolab("predict", "face48", "x*.png")).startswith("error: No file matches x*.png.")
    stream = io.TextIOWrapper(io.BytesIO((pile / "c0.png").read_bytes()))
    monkeypatch.setattr(sys, "stdin", stream)
    piped = json.loads(emolab("predict", "face48", "-", "--json").out)["predictions"]
    first = json.loads(said.out)["predictions"][0]
    (alone,) = piped
    assert alone["probs"] == pytest.approx(first["probs"], abs=2e-6), "the last digit may depend on the batch"
    same = {"file": "standard input", "probs": alone["probs"], "confidence": alone["confidence"]}
    assert alone == {**first, **same} and alone["confidence"] == max(alone["probs"].values())


def test_a_file_with_the_name_of_a_pattern_is_that_file(pile: Path) -> None:
    (pile / "c[0].png").write_bytes((pile / "c4.png").read_bytes())
    (row,) = json.loads(emolab("predict", "face48", "c[0].png", "--json").out)["predictions"]
    assert row["file"] == "c[0].png"


def test_an_unsure_answer_is_marked(pile: Path) -> None:
    rows = json.loads(emolab("predict", "face48", "c0.png", "--unsure", "1", "--json").out)["predictions"]
    assert rows[0]["unsure"] is True
    assert "unsure:" in emolab("predict", "face48", "c0.png", "--unsure", "1").err
    assert "unsure" not in json.loads(emolab("predict", "face48", "c0.png", "--json").out)["predictions"][0]


def test_faces_are_explained_in_pictures_and_yours_are_never_replaced(pile: Path) -> None:
    said = emolab("predict", "face48", "c0.png", "c1.png", "d.png", "--explain", "why", "--json")
    told = json.loads(said.out)
    assert sorted(Path(file).name for file in told["explained"]) == ["c0.png.jpg", "c1.png.jpg"]
    with Image.open(pile / "why" / "c0.png.jpg") as shown:
        assert (shown.format, shown.size[0], len(shown.getexif())) == ("JPEG", 480, 0)
    Image.effect_noise((48, 48), 30).convert("RGB").save(pile / "e.jpg")
    assert "it would be replaced" in one_line(emolab("predict", "face48", "e.jpg", "--explain", "."))
