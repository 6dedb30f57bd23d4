"""Folders as labels: layouts, splits, groups, zips, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from emolab.datasets.readers.image_folder import read
from emolab.datasets.readers.reader import as_reader
from emolab.errors import DataError, UnknownName
from emolab.records import Record
from tests.support.pictures import pack, png, put


def rows(path: Path, **options: str) -> list[tuple[str, dict[str, int], str | None, str | None]]:
    return [(r.key, dict(r.votes), r.split, r.group) for r in read(path, options)]


def test_the_class_folder_is_the_label(tmp_path: Path) -> None:
    put(tmp_path, {"happy/a.png": png(1), "happy/b.png": png(2), "sad/a.png": png(3), "notes.txt": "x"})
    assert rows(tmp_path) == [
        ("happy/a.png", {"happy": 1}, None, None),
        ("happy/b.png", {"happy": 1}, None, None),
        ("sad/a.png", {"sad": 1}, None, None),
    ]
    survey = read.survey(tmp_path, {})
    assert (survey.records, survey.labels) == (3, {"happy": 2, "sad": 1})


def test_split_folders_give_the_split_and_keep_the_key(tmp_path: Path) -> None:
    put(tmp_path, {"Training/happy/a.png": png(1), "val/sad/b.png": png(2), "test/sad/c.png": png(3)})
    assert rows(tmp_path) == [
        ("happy/a.png", {"happy": 1}, "train", None),
        ("sad/c.png", {"sad": 1}, "test", None),
        ("sad/b.png", {"sad": 1}, "valid", None),
    ]


def test_a_zip_with_a_wrapping_folder_reads_like_the_folder(tmp_path: Path) -> None:
    inside = {"set/happy/a.png": png(1), "set/sad/b.png": png(2)}
    archive = pack(tmp_path / "set.zip", {**inside, "__MACOSX/set/happy/._a.png": "junk", "set/.DS_Store": "junk"})
    found = list(read(archive, {}))
    assert [(r.key, r.media) for r in found] == [("happy/a.png", png(1)), ("sad/b.png", png(2))]
    assert [r.media for r in read(put(tmp_path / "plain", inside), {})] == [
        tmp_path / "plain/set/happy/a.png",
        tmp_path / "plain/set/sad/b.png",
    ]


def test_a_single_class_with_folders_of_subjects_is_not_taken_for_a_wrapper(tmp_path: Path) -> None:
    put(tmp_path, {"happy/s1/a.png": png(1), "happy/s2/b.png": png(2)})
    assert rows(tmp_path, group="folder") == [
        ("happy/s1/a.png", {"happy": 1}, None, "happy/s1"),
        ("happy/s2/b.png", {"happy": 1}, None, "happy/s2"),
    ]


def test_a_regular_expression_finds_the_subject(tmp_path: Path) -> None:
    put(tmp_path, {"happy/S010_004_17.png": png(1), "sad/S011_001_02.png": png(2), "sad/other.png": png(3)})
    assert [row[3] for row in rows(tmp_path, group=r"(S\d+)_")] == ["S010", "S011", None]
    with pytest.raises(DataError, match=r'group="\(" is not a regular expression'):
        read.survey(tmp_path, {"group": "("})


def test_images_outside_of_class_folders_are_an_error(tmp_path: Path) -> None:
    put(tmp_path, {"happy/a.png": png(1), "sad/b.png": png(2), "loose.png": png(3)})
    with pytest.raises(DataError, match=r"1 images of .* lie outside a class folder, the first is loose\.png"):
        rows(tmp_path)


def test_mixed_levels_are_an_error(tmp_path: Path) -> None:
    put(tmp_path, {"train/happy/a.png": png(1), "sad/b.png": png(2)})
    with pytest.raises(DataError, match=r"mixes split folders \(train\) and others \(sad\)"):
        rows(tmp_path)


@pytest.mark.parametrize(("name", "message"), [("nowhere", "does not exist"), ("x.bin", "neither a folder nor")])
def test_a_path_that_is_nothing_is_an_error(tmp_path: Path, name: str, message: str) -> None:
    put(tmp_path, {"x.bin": "not a zip"})
    with pytest.raises(DataError, match=message):
        rows(tmp_path / name)


def test_an_empty_folder_and_a_mistyped_option_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no images"):
        rows(tmp_path)
    with pytest.raises(UnknownName, match=r'Unknown reader option "grup"\. Did you mean "group"\?'):
        rows(tmp_path, grup="folder")


def test_a_loop_of_links_does_not_trap_the_walk(tmp_path: Path) -> None:
    put(tmp_path, {"happy/a.png": png(1), "sad/b.png": png(2)})
    (tmp_path / "happy" / "again").symlink_to(tmp_path)
    assert len(rows(tmp_path)) == 2


def test_a_plain_function_of_a_plugin_is_a_reader_too(tmp_path: Path) -> None:
    def stream(path, options):
        yield Record(key="a", media=path, votes={"happy": 2, "sad": 1})

    plugin = as_reader(stream)
    survey = plugin.survey(tmp_path, {})
    assert (survey.records, survey.labels, plugin.supported) == (1, {"happy": 2, "sad": 1}, None)
    assert as_reader(read) is read
