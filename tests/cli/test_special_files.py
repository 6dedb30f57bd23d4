"""collect, merge and predict end with one line on what never ends: pipes, devices, sockets, bombs."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import pytest

from emolab.cli.main import run
from emolab.workspace import Workspace
from tests.support.pictures import png, put

KINDS = ("pipe", "/dev/zero", "/dev/random", "gone", "bomb")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace as the current folder, and beside it a tree with everything that is odd and two faces."""
    monkeypatch.setattr("emolab.datasets.collect.archive.BOMB_BYTES", 1 << 20)
    monkeypatch.chdir(Workspace.init(tmp_path / "faces", classes=("happiness", "sadness")).root)
    put(tmp_path / "in", {"happy/a.png": png(1), "sad/b.png": png(2), "happy/.hidden/c.png": png(3), "LICENSE": "x"})
    for kind in KINDS:
        special(tmp_path / "in" / "happy", kind)
    return tmp_path / "in"


def special(folder: Path, kind: str) -> Path:
    path = folder / f"{kind.strip('/').replace('/', '_')}.png"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "bomb":
        path = path.with_suffix(".zip")
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
            out.writestr("happy/a.png", bytes(4 << 20))
    else:
        path.symlink_to("nowhere" if kind == "gone" else kind)
    return path


def test_collect_merge_and_predict_list_the_same(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["collect", str(folder), "--faces", "off", "--json"]) == 1
    collected = json.loads(capsys.readouterr().out)
    assert collected["added"] == 2
    assert collected["problems"] == {"unreadable": 4, "zip bomb": 1}
    assert collected["ignored"] == {"hidden": 1, "no suffix": 1}

    assert run(["merge", "image_folder", str(folder), "--json"]) == 1
    merged = json.loads(capsys.readouterr().out)
    assert (merged["known"], merged["unreadable"]) == (2, 4)
    assert {problem["kind"] for problem in merged["problems"]} == {"unreadable"}
    assert merged["ignored"] == {"hidden": 1, "no suffix": 1, ".zip": 1}
    assert run(["merge", "image_folder", str(folder)]) == 1
    assert "other files" in capsys.readouterr().err


def test_predict_lists_what_it_cannot_read(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["predict", "face48", str(folder), "--faces", "off", "--json"]) == 1
    rows = json.loads(capsys.readouterr().out)["predictions"]
    assert [Path(row["file"]).name for row in rows if "probs" in row] == ["a.png", "b.png"]
    listed = sorted(row["error"].partition(":")[0] for row in rows if "probs" not in row)
    assert listed == [*["unreadable"] * 4, "zip bomb"], "the same as collect lists"


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_each_given_by_name_is_one_line(folder: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    put(folder.parent / "one", {})
    (folder.parent / "one").mkdir(exist_ok=True)
    path = str(special(folder.parent / "one", kind))
    assert run(["merge", "image_folder", path]) == 1
    assert run(["merge", "csv", path]) == 1
    error = capsys.readouterr().err
    assert error.count("error: ") == 2
    assert run(["collect", path, "--faces", "off", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["failed"] == 1
