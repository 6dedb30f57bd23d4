"""Reading with a limit: what is no file is refused at once, and no more is read than was allowed; writing whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from emolab.errors import DataError
from emolab.files import TooLarge, open_file, read_file, written_whole


@pytest.mark.parametrize(
    "kind", ["/dev/zero", "/dev/random", "/dev/full", "/dev/tty", "pipe", "folder", "loop", "gone"]
)
def test_what_is_no_file_is_an_error_and_nobody_waits(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to({"loop": "x", "gone": "nowhere"}.get(kind, kind))
    for reads in (read_file, open_file):
        with pytest.raises(OSError) as caught:
            reads(path)
        assert caught.value.strerror


def test_the_limit_holds_for_what_is_read_not_for_what_the_system_says(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(100))
    assert read_file(tmp_path / "a", limit=100) == bytes(100)
    with pytest.raises(TooLarge, match="more than 99 bytes"):
        read_file(tmp_path / "a", limit=99)
    endless = Path("/proc/self/maps")  # 0 bytes, says the system
    assert endless.stat().st_size == 0
    assert len(read_file(endless)) > 100
    with pytest.raises(TooLarge):
        read_file(endless, limit=100)


@pytest.mark.parametrize("place", ["file/table.csv", "absent/table.csv", "folder"])
def test_a_file_that_cannot_be_written_is_one_clear_line(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError, match=rf"{place} cannot be written: "), written_whole(tmp_path / place) as part:
        part.write_text("new")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_file_is_the_old_one_until_the_new_one_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "table.csv"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), written_whole(target) as part:
        part.write_text("half")
        raise ZeroDivisionError
    assert [each.read_text() for each in tmp_path.iterdir()] == ["old"]
    with written_whole(target) as part:
        part.write_text("new")
        assert target.read_text() == "old"
    assert [each.read_text() for each in tmp_path.iterdir()] == ["new"]
