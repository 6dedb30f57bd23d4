"""Predictions as a competition wants them: its ids and its order of classes, or one clear line on why not."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emolab.cli.main import run
from emolab.errors import DataError
from emolab.loop.model.predicting.submission import read_form

CLASSES = ("neutral", "happiness", "sadness")


def sample(folder: Path, *lines: str) -> Path:
    file = folder / "sample_submission.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


def row(file: str, *probs: float) -> dict[str, object]:
    told = dict(zip(CLASSES, probs, strict=True))
    return {"file": file, "label": max(told, key=lambda name: told[name]), "probs": told}


ROWS = [row("test/b.png", 0.7, 0.2, 0.1), row("test/a.png", 0.1, 0.1, 0.8)]


def test_probabilities_stand_in_the_columns_of_the_sample(tmp_path: Path) -> None:
    form = read_form(sample(tmp_path, "id,Sad,Happy,Neutral", "a,0,0,0", "test/b.png,0,0,0"))
    assert form.text(ROWS, CLASSES) == (
        "id,Sad,Happy,Neutral\na,0.800000,0.100000,0.100000\ntest/b.png,0.100000,0.200000,0.700000\n", None,
    )  # fmt: skip


def test_one_column_is_the_answer_as_a_name_or_as_a_number_that_was_explained(tmp_path: Path) -> None:
    named = read_form(sample(tmp_path, "image,emotion", "a.png,neutral", "b.png,neutral"))
    assert named.text(ROWS, CLASSES)[0] == "image,emotion\na.png,sadness\nb.png,neutral\n"
    file = sample(tmp_path, "image,emotion", "a.png,0", "b.png,0")
    with pytest.raises(DataError, match="wants numbers, and does not say of which classes"):
        read_form(file)
    assert read_form(file, "Happy,sad,neutral").text(ROWS, CLASSES)[0] == "image,emotion\na.png,1\nb.png,2\n"
    with pytest.raises(DataError, match='--class-order has no "sadness"'):
        read_form(file, "happiness,neutral").text(ROWS, CLASSES)
    numbered = sample(tmp_path, "id,0,1,2", "a,0,0,0")
    with pytest.raises(DataError, match="no class of the model: 0, 1, 2; no column for neutral, happiness, sadness"):
        read_form(numbered).columns(CLASSES)
    assert read_form(numbered, "sadness,happiness,neutral").columns(CLASSES) == ["sadness", "happiness", "neutral"]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("id,neutral,happiness,calm", "a,0,0,0"), "no class of the model: calm; no column for sadness"),
        (("id,neutral,happiness,happy,sadness", "a,0,0,0,0"), "two columns of one class"),
        (("id,label", "a,neutral", "c,neutral", "d,neutral"),
         "2 of 3 ids have no picture, the first is c; 1 pictures have no id, the first is test/b.png"),
        (("id,label", "a,neutral", "a,neutral"), "1 ids occur more than once"),
        (("id", "a"), "no sample of a submission"),
        (("id,label", "a"), "no sample of a submission"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said_in_one_line(tmp_path: Path, lines: tuple[str, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_form(sample(tmp_path, *lines)).text(ROWS, CLASSES)


def test_an_id_without_exactly_one_answer_is_refused_and_a_picture_without_an_id_is_told(tmp_path: Path) -> None:
    form = read_form(sample(tmp_path, "id,label", "a,neutral"))
    assert form.text(ROWS, CLASSES)[1] == "1 pictures have no id, the first is test/b.png"
    with pytest.raises(DataError, match="1 ids have several faces, the first is a"):
        form.text([*ROWS, ROWS[1]], CLASSES)
    with pytest.raises(DataError, match="1 ids have no answer, the first is a"):
        form.text([{"file": "a.png", "error": "empty"}], CLASSES)
    with pytest.raises(DataError, match="the id a fits 2 pictures"):
        form.text([*ROWS, row("other/a.png", 1, 0, 0)], CLASSES)


def test_the_command_writes_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "test").mkdir()
    for name in ("one", "two"):
        pixels = np.random.default_rng(len(name)).integers(0, 256, (48, 48), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "test" / f"{name}.png")
    classes = ["neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"]
    sample(tmp_path, ",".join(["id", *reversed(classes)]), "two" + ",0" * 8, "one" + ",0" * 8)
    given = ["predict", "face48", "test", "--faces", "off", "--submission", "sample_submission.csv"]
    assert run([*given, "--out", "mine.csv", "--json"]) == 0
    told = {Path(r["file"]).stem: r["probs"] for r in json.loads(capsys.readouterr().out)["predictions"]}
    rows = list(csv.DictReader((tmp_path / "mine.csv").open()))
    assert [r["id"] for r in rows] == ["two", "one"]
    assert list(rows[0]) == ["id", *reversed(classes)]
    assert {r["id"]: {c: float(r[c]) for c in classes} for r in rows} == told
    assert run(given) == 1
    assert "--out submission.csv" in capsys.readouterr().err
    sample(tmp_path, ",".join(["id", *classes]), "three" + ",0" * 8)
    assert run([*given, "--out", "none.csv"]) == 1
    assert "1 of 1 ids have no picture, the first is three; 2 pictures have no id" in " ".join(
        capsys.readouterr().err.split()
    )
    assert not (tmp_path / "none.csv").exists()
