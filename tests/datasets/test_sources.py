"""Which files are found, and what becomes of those that cannot be taken."""

from __future__ import annotations

import io
import os
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from emolab.datasets.collect.ingest import Item
from emolab.datasets.collect.sources import InputSource, count
from emolab.datasets.collect.walk import FoundFile, walk
from emolab.errors import ConfigError, DataError
from emolab.modalities.problems import Problem, Refused


def image_bytes(colour: str = "red") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(out, "PNG")
    return out.getvalue()


def make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(image_bytes())


def names(folder: Path, *paths: str) -> list[str]:
    found = walk([str(folder / path) for path in paths] or [str(folder)])
    return [os.path.relpath(f.path, folder) if isinstance(f, FoundFile) else f"{f.kind}: {f.message}" for f in found]


def test_folders_are_read_in_order_and_hidden_files_passed_over(tmp_path: Path) -> None:
    make(tmp_path, "b.png", "a/2.jpg", "a/1.JPG", ".hidden.png", "__MACOSX/a.png", ".thumbnails/x.png")
    assert names(tmp_path) == ["a/1.JPG", "a/2.jpg", "b.png"]


def test_patterns_are_expanded_and_one_without_a_match_is_said(tmp_path: Path) -> None:
    make(tmp_path, "s1/a.png", "s1/b.txt", "s2/c.png")
    assert sorted(names(tmp_path, "*/*.png")) == ["s1/a.png", "s2/c.png"]
    assert sorted(names(tmp_path, "**/*.png")) == ["s1/a.png", "s2/c.png"]
    assert names(tmp_path, "*.gif") == ["not found: the pattern matches nothing"]


def test_a_path_that_does_not_exist_is_said(tmp_path: Path) -> None:
    assert names(tmp_path, "gone.png") == ["not found: no such file"]


def test_a_name_with_brackets_is_a_file_when_there_is_one(tmp_path: Path) -> None:
    make(tmp_path, "face[1].png")
    assert names(tmp_path, "face[1].png") == ["face[1].png"]


def test_other_files_are_counted_by_suffix(tmp_path: Path) -> None:
    make(tmp_path, "a.png", "notes.txt", "more.TXT", "table.csv", "README")
    (tmp_path / "README").write_text("no image")
    ignored: Counter[str] = Counter()
    assert len(list(walk([str(tmp_path)], ignored=ignored))) == 1
    assert ignored == {".txt": 2, ".csv": 1, "no suffix": 1}


def test_a_file_without_suffix_is_taken_for_its_first_bytes(tmp_path: Path) -> None:
    make(tmp_path, "IMG0001")
    assert names(tmp_path) == ["IMG0001"]


def test_a_link_back_up_is_said_and_ends_there(tmp_path: Path) -> None:
    make(tmp_path, "photos/a.png")
    (tmp_path / "photos" / "again").symlink_to(tmp_path)
    assert names(tmp_path) == [
        "photos/a.png",
        "symlink loop: leads back to a folder that was read already; passed over",
    ]


def test_a_link_to_itself_and_a_broken_link_are_said(tmp_path: Path) -> None:
    (tmp_path / "loop.png").symlink_to("loop.png")
    (tmp_path / "gone.png").symlink_to("nowhere.png")
    assert names(tmp_path) == ["unreadable: a broken link", "symlink loop: a link that leads back to itself"]


def test_links_to_files_elsewhere_are_followed(tmp_path: Path) -> None:
    make(tmp_path, "store/a.png")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "link.png").symlink_to(tmp_path / "store" / "a.png")
    assert names(tmp_path / "set") == ["link.png"]


def test_a_pipe_is_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    assert names(tmp_path) == ["unreadable: a device or pipe, not a file"]
    assert names(tmp_path, "pipe.png") == ["unreadable: a device or pipe, not a file"]


def test_names_that_are_not_utf8_are_found(tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path) + b"/caf\xe9.png"
    Path(os.fsdecode(raw)).write_bytes(image_bytes())
    (found,) = walk([str(tmp_path)])
    assert isinstance(found, FoundFile)
    assert os.fsencode(found.path) == raw


def test_a_folder_larger_than_a_block_is_listed_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emolab.datasets.collect.walk.BLOCK", 100)
    make(tmp_path, *(f"{i:06}.png" for i in range(210)))
    found = names(tmp_path)
    assert sorted(found) == [f"{i:06}.png" for i in range(210)]
    assert found[:100] == sorted(found[:100])


def entries(source: InputSource, *paths: Path) -> list[Item | Problem]:
    return [entry for entry in source.entries([str(path) for path in paths]) if isinstance(entry, Item | Problem)]


def test_the_folder_or_a_pattern_names_the_group(tmp_path: Path) -> None:
    make(tmp_path, "subject_07/smile.png", "subject_12/cry.png")
    assert [e.group for e in entries(InputSource(group_by=r"subject_(\d+)"), tmp_path)] == ["07", "12"]  # type: ignore[union-attr]
    by_folder = InputSource(group_by="folder", base=tmp_path / "workspace")
    assert [e.group for e in entries(by_folder, tmp_path)] == ["../subject_07", "../subject_12"]  # type: ignore[union-attr]
    assert [e.group for e in entries(InputSource(), tmp_path)] == [None, None]  # type: ignore[union-attr]


def test_a_bad_pattern_for_groups_is_explained(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r'--group-by "\(" is neither "folder", a table nor a regular expression: missing \)'
    ):
        entries(InputSource(group_by="("), tmp_path)


def by_table(folder: Path, table: str, *, name: str = "speakers.csv") -> list[Item | Problem]:
    (folder / name).write_text(table, encoding="utf-8")
    return entries(InputSource(group_by=str(folder / name)), folder)


def told(found: list[Item | Problem]) -> list[str]:
    return [f"{Path(e.path).name}: {e.kind}: {e.taken}" for e in found if isinstance(e, Problem)]


@pytest.mark.parametrize(
    "table",
    [
        "path,speaker\ns1/a.png,Ann\ns1/b.png,Bo\ns2/a.png,Ann\n",
        "Speaker ID;Emotion;File\nAnn;x;.\\s1\\a.png\nBo;y;s1\\b.png\nAnn;;s2\\a.png\n",
        "group\tfilename\nAnn\ts1/a.png\nBo\tb.png\nAnn\ts2/a.png\nAnn\ts2/a.png\n",
    ],
)
def test_a_table_names_the_groups(tmp_path: Path, table: str) -> None:
    make(tmp_path, "s1/a.png", "s1/b.png", "s2/a.png")
    found = by_table(tmp_path, table)
    assert [e.group for e in found if isinstance(e, Item)] == ["Ann", "Bo", "Ann"]
    assert told(found) == []


def test_what_a_table_of_groups_does_not_say_is_told(tmp_path: Path) -> None:
    make(tmp_path, "s1/a.png", "s2/a.png", "s2/c.png")
    found = by_table(tmp_path, "path,speaker\na.png,Ann\ngone.png,Bo\nlost.png,Cy\nx.png,\n,Di\nlonger,than,two\n")
    assert [(Path(e.name).name, e.group) for e in found if isinstance(e, Item)] == [("a.png", "Ann"), ("c.png", None)]
    assert told(found) == [
        "a.png: group unclear: False",  # of s2: the same row fits that of s1
        "c.png: no group: True",
        "speakers.csv: rows without a file: True",
        *["speakers.csv: broken row: True"] * 3,
    ]
    assert next(e.message for e in found if isinstance(e, Problem) and "rows" in e.kind) == "2: gone.png, lost.png"


def test_groups_by_a_table_reach_into_zips(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "faces.zip", "w") as archive:
        archive.writestr("in/a.png", image_bytes())
    found = by_table(tmp_path, "path,person\nin/a.png,Ann\n")
    assert [e.group for e in found if isinstance(e, Item)] == ["Ann"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("path,emotion\na.png,joy\n", "has no column of groups: path, emotion"),
        ("clip id,speaker\na.png,Ann\n", "has no column of files: clip id, speaker"),
        ("path,speaker\n", "names no file with a group"),
        ("path,speaker\na.png,Ann\na.png,Bo\n", "has a.png in two groups: Ann and Bo"),
    ],
)
def test_a_table_of_groups_without_sense_is_refused(tmp_path: Path, table: str, message: str) -> None:
    make(tmp_path, "a.png")
    with pytest.raises(DataError, match=message):
        by_table(tmp_path, table)


def test_a_table_of_groups_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"speakers\.csv cannot be read"):
        entries(InputSource(group_by=str(tmp_path / "speakers.csv")), tmp_path)


def test_consent_goes_with_every_item(tmp_path: Path) -> None:
    make(tmp_path, "a.png")
    assert [e.consent for e in entries(InputSource(consent="study 7, form B"), tmp_path)] == ["study 7, form B"]  # type: ignore[union-attr]


def test_counting_looks_into_folders_and_archives(tmp_path: Path) -> None:
    make(tmp_path, "a.png", "deep/b.png", "notes.txt")
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as out:
        for i in range(5):
            out.writestr(f"{i}.png", image_bytes())
    assert count([str(tmp_path)], every=1.0) == 7


def zipped(tmp_path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> list[Item | Problem]:
    file = tmp_path / "in.zip"
    with zipfile.ZipFile(file, "w", compression) as out:
        for name, data in members.items():
            out.writestr(name, data)
    return entries(InputSource(max_bytes=100_000), file)


def test_the_images_of_a_zip_are_read_without_unpacking_it(tmp_path: Path) -> None:
    found = zipped(tmp_path, {"a/1.png": image_bytes(), "a/": b"", "note.txt": b"hello", "__MACOSX/._1.png": b"junk"})
    (item,) = found
    assert isinstance(item, Item)
    assert item.name == f"{tmp_path}/in.zip/a/1.png"
    assert callable(item.data)
    assert item.data() == image_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.zip"]


@pytest.mark.parametrize("name", ["../evil.png", "a/../../evil.png", "/etc/evil.png", "C:\\evil.png", "..\\evil.png"])
def test_names_that_lead_out_of_a_zip_are_refused(tmp_path: Path, name: str) -> None:
    problem, good = zipped(tmp_path, {name: image_bytes(), "good.png": image_bytes()})
    assert isinstance(problem, Problem)
    assert (problem.kind, problem.message) == ("unsafe name", "the name leads out of the archive; refused")
    assert isinstance(good, Item)


def test_a_member_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    (problem,) = zipped(tmp_path, {"big.bmp": bytes(200_000)}, zipfile.ZIP_DEFLATED)
    assert isinstance(problem, Problem)
    assert (problem.kind, problem.message) == ("too large", "would unpack to 200,000 bytes (collect.max_bytes)")


def test_a_member_that_lies_about_its_size_is_refused_when_read(tmp_path: Path) -> None:
    file = tmp_path / "liar.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("big.bmp", bytes(500_000))
    data = file.read_bytes().replace((500_000).to_bytes(4, "little"), (50).to_bytes(4, "little"))
    file.write_bytes(data)
    (item,) = entries(InputSource(max_bytes=100_000), file)
    assert isinstance(item, Item)
    assert callable(item.data)
    with pytest.raises(Refused):
        item.data()


def test_a_zip_bomb_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emolab.datasets.collect.archive.BOMB_BYTES", 1 << 20)
    found = zipped(tmp_path, {f"{i}.bmp": bytes(90_000) for i in range(40)}, zipfile.ZIP_DEFLATED)
    (problem,) = found
    assert isinstance(problem, Problem)
    assert problem.kind == "zip bomb"
    assert "that would unpack to 3,600,000; left alone" in problem.message


def test_encrypted_members_and_nested_archives_say_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "locked.zip"
    with zipfile.ZipFile(file, "w") as out:
        out.writestr("a.png", image_bytes())
        out.writestr("inner.zip", b"PK")
        out.writestr("clip.mp4", b"....")
    data = bytearray(file.read_bytes())
    data[6] |= 1  # local header of the first member: encrypted
    data[data.index(b"PK\x01\x02") + 8] |= 1
    file.write_bytes(bytes(data))
    kinds = {e.kind: e.message for e in entries(InputSource(), file) if isinstance(e, Problem)}
    assert set(kinds) == {"encrypted", "zip in a zip", "video in a zip"}
    assert kinds["encrypted"] == "needs a password; unpack the archive and give the folder"


@pytest.mark.parametrize(("data", "kind"), [(b"", "empty"), (b"PK\x03\x04 broken", "damaged")])
def test_an_empty_or_broken_zip_is_said(tmp_path: Path, data: bytes, kind: str) -> None:
    file = tmp_path / "x.zip"
    file.write_bytes(data)
    (problem,) = entries(InputSource(), file)
    assert isinstance(problem, Problem)
    assert problem.kind == kind


def test_a_damaged_member_is_refused_and_the_next_one_read(tmp_path: Path) -> None:
    file = tmp_path / "x.zip"
    body = image_bytes()
    with zipfile.ZipFile(file, "w") as out:
        out.writestr("bad.png", body)
        out.writestr("good.png", body)
    data = bytearray(file.read_bytes())
    data[data.index(body) + 20] ^= 0xFF
    file.write_bytes(bytes(data))
    bad, good = (item.data for item in entries(InputSource(), file) if isinstance(item, Item))
    assert callable(bad)
    assert callable(good)
    with pytest.raises(Refused, match="cannot be unpacked: Bad CRC-32"):
        bad()
    assert good() == body
