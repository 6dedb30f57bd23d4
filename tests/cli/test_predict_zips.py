"""``emolab predict`` on zips, read as ``collect`` reads them, and on many files of which some fail."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emolab.cli.main import run
from emolab.cli.ui import predict_table

pytest.importorskip("torch", reason="predicting needs torch")


def noise(seed: int, size: int = 60) -> bytes:
    """A PNG of ``size`` x ``size`` pixels of noise."""
    out = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size), dtype=np.uint8)
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    """A zip at ``path`` of ``members`` by their names."""
    with zipfile.ZipFile(path, "w") as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


def locked(path: Path) -> Path:
    """A zip with one member that says it needs a password."""
    data = bytearray(zipped(path, {"secret.png": noise(9)}).read_bytes())
    for start, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(start) + at] |= 1
    path.write_bytes(data)
    return path


def answers(capsys: pytest.CaptureFixture[str], *paths: str) -> dict[str, str]:
    """The answer or the error of each name."""
    run(["predict", "face48", "--json", *paths])
    rows = json.loads(capsys.readouterr().out)["predictions"]
    return {row["file"]: row.get("error") or "answered" for row in rows}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder outside of a workspace, which is the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


def test_a_zip_is_read_given_or_lying_in_a_folder(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "pile" / "deep").mkdir(parents=True)
    members = {"a.png": noise(1), "inner/b.png": noise(2), ".hidden/c.png": noise(3), "notes.txt": b"hello"}
    zipped(here / "pile" / "deep" / "more.zip", members)
    (here / "pile" / "d.png").write_bytes(noise(1))
    inside = {"pile/deep/more.zip/a.png": "answered", "pile/deep/more.zip/inner/b.png": "answered"}
    assert answers(capsys, "pile/deep/more.zip") == inside
    assert answers(capsys, "pile") == {"pile/d.png": "answered", **inside}
    (here / "pile" / "deep" / "more.zip").rename(here / "renamed")
    assert set(answers(capsys, "renamed")) == {"renamed/a.png", "renamed/inner/b.png"}
    assert run(["predict", "face48", "renamed"]) == 0
    assert "Left alone: 1 hidden, 1 .txt" in capsys.readouterr().err


def test_a_picture_has_the_same_answer_in_a_zip_as_beside_it(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    zipped(here / "more.zip", {"a.png": noise(4)})
    (here / "a.png").write_bytes(noise(4))
    assert run(["predict", "face48", "more.zip", "a.png", "--json"]) == 0
    first, second = (row["probs"] for row in json.loads(capsys.readouterr().out)["predictions"])
    assert first == pytest.approx(second, abs=1e-6)


def test_what_cannot_be_read_in_a_zip_is_named_member_by_member(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    members = {"good.png": noise(1), "empty.png": b"", "diary.png": b"Dear diary", "cut.png": noise(2)[:900]}
    zipped(here / "odd.zip", {**members, "inner.zip": b"PK", "film.mp4": b"film", "../out.png": noise(3)})
    told = answers(capsys, "odd.zip")
    assert told.pop("odd.zip/good.png") == "answered"
    assert told["odd.zip/empty.png"] == "empty: the file has no bytes"
    assert told["odd.zip/inner.zip"] == "zip in a zip: unpack it and give the folder"
    assert told["odd.zip/film.mp4"] == "video in a zip: unpack it and give the folder"
    assert told["odd.zip/../out.png"].startswith("unsafe name: the name leads out of the archive")
    assert told["odd.zip/diary.png"].startswith("not an image: a text")
    assert told["odd.zip/cut.png"].startswith("truncated")
    assert len(told) == 6
    assert run(["predict", "face48", "odd.zip", "--faces", "off"]) == 1
    assert "6 of 7 files could not be classified" in capsys.readouterr().err


@pytest.mark.slow
def test_a_zip_that_cannot_be_read_gets_one_line(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    locked(here / "locked.zip")
    (here / "text.zip").write_text("no zip")
    (here / "empty.zip").touch()
    with zipfile.ZipFile(here / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as file:
        data = bytes(1 << 20)
        for i in range(1025):
            file.writestr(f"{i}.png", data)
    told = answers(capsys, "locked.zip", "text.zip", "empty.zip", "bomb.zip")
    assert told["locked.zip/secret.png"] == "encrypted: needs a password; unpack the archive and give the folder"
    assert told["text.zip"].startswith("damaged: not a readable zip")
    assert told["empty.zip"] == "empty: the file has no bytes"
    assert told["bomb.zip"].startswith("zip bomb: ")
    assert len(told) == 4


def test_the_largest_member_is_that_of_the_settings(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    zipped(here / "more.zip", {"a.png": noise(1)})
    assert run(["predict", "face48", "more.zip", "--json", "--set", "collect.max_bytes=1000"]) == 1
    (row,) = json.loads(capsys.readouterr().out)["predictions"]
    assert row["error"].startswith("too large: would unpack to ") and "collect.max_bytes" in row["error"]


def test_a_damaged_member_is_its_own_line(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = zipped(here / "more.zip", {"a.png": noise(1), "b.png": noise(2)})
    data = bytearray(path.read_bytes())
    data[2000] ^= 0xFF
    path.write_bytes(data)
    for faces in ("auto", "off"):
        assert run(["predict", "face48", "more.zip", "--json", "--faces", faces]) == 1
        first, second = json.loads(capsys.readouterr().out)["predictions"]
        assert first["error"].startswith("damaged: cannot be unpacked: ") and "label" in second


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_twice_in_a_zip_is_a_note(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with zipfile.ZipFile(here / "more.zip", "w") as file:
        file.writestr("a.png", noise(1))
        file.writestr("a.png", noise(2))
    assert run(["predict", "face48", "more.zip"]) == 0
    assert "note: more.zip/a.png: name twice: the archive holds this name more than once" in capsys.readouterr().err
    assert run(["predict", "face48", "more.zip", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (len(told["predictions"]), len(told["notes"])) == (1, 1)


def test_faces_in_a_zip_are_found_and_drawn(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("cv2", reason="finding faces needs OpenCV")
    out = io.BytesIO()
    Image.fromarray(pytest.importorskip("skimage.data").astronaut()).save(out, "JPEG")
    zipped(here / "more.zip", {"space/she.jpg": out.getvalue()})
    (here / "a.png").write_bytes(noise(4))
    assert run(["predict", "face48", "more.zip", "a.png", "--json", "--draw", "drawn"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [row.get("face") for row in told["predictions"]] == [1, None]
    assert told["drawn"] == ["drawn/more.zip/space/she.jpg", "drawn/a.png.jpg"]
    with Image.open(told["drawn"][0]) as picture:
        assert picture.width >= 512


def test_all_that_failed_is_listed_however_long_the_table(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "pile").mkdir()
    for i in range(50):
        (here / "pile" / f"{i:02}.png").write_bytes(noise(i, 48) if i % 10 != 5 else b"")
    assert run(["predict", "face48", "pile"]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert [said.count(f"{name}.png") for name in ("05", "15", "25", "35", "45", "44")] == [1, 1, 1, 1, 1, 0]
    assert "no answer: 45.png: empty: the file has no bytes" in said
    assert "and 9 more answers" in said
    assert "5 of 50 files could not be classified; each is listed" in said
    monkeypatch.setattr(predict_table, "SHOWN", 2)
    monkeypatch.setattr(predict_table, "FAILED", 3)
    assert run(["predict", "face48", "pile"]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert said.count("the file has no bytes") == 3
    assert "and 43 more answers" in said and "and 2 more without an answer; --json or --csv print all" in said
    assert "5 of 50 files could not be classified; --json or --csv list each with its reason" in said
