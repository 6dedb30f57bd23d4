"""Tables as people have them: delimiters, encodings, headers, Windows paths, one bad row, the names they go by."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from emolab.datasets.readers import csv, fer2013, ferplus, ferplus_protocols
from emolab.datasets.readers.reader import Reader
from emolab.datasets.readers.source import Damaged
from emolab.errors import DataError, EmolabError
from emolab.records import Record
from tests.support.pictures import pack, pixel_text, png, put

PLAIN = "path,label\nimg/a.png,happy\nimg/b.png,sad\n"
IMAGES = {"img/a.png": png(1), "img/b.png": png(2)}


def read(reader: Reader, folder: Path, **options: str) -> tuple[list[Record], list[str]]:
    """The sound records, and what is said of the others; both ways to read agree on how many there are."""
    found = list(reader(folder, options))
    assert reader.survey(folder, options).records == len(found)
    bad = [f"{r.key}: {r.media.reason}" for r in found if isinstance(r.media, Damaged)]
    return [r for r in found if not isinstance(r.media, Damaged)], bad


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("t.csv", PLAIN.replace(",", ";").encode()),
        ("t.csv", PLAIN.replace(",", "\t").encode()),
        ("t.csv", PLAIN.replace(",", "|").encode()),
        ("t.tsv", PLAIN.encode()),
        ("t.csv", ("sep=;\n" + PLAIN.replace(",", ";")).encode()),
        ("t.csv", ("\ufeffsep=,\r\n" + PLAIN.replace("\n", "\r\n")).encode()),
        ("t.csv", PLAIN.encode("utf-16")),
        ("t.csv", PLAIN.encode("utf-16-le")),
        ("t.csv", PLAIN.encode("utf-16-be")),
        ("t.csv", ("\ufeff" + PLAIN).encode()),
        ("t.csv", PLAIN.replace("path,label", "PATH,Label").encode()),
        ("t.csv", PLAIN.replace("path,label", '"path", "label" ,,').encode()),
        ("t.csv", PLAIN.replace("\n", "\r").encode()),
        ("t.csv", PLAIN.replace("happy", "happy,,").encode()),
        ("t.csv", ("\n\n" + PLAIN + "\n,\n").encode()),
        ("t.csv.gz", gzip.compress(PLAIN.encode(), mtime=0)),
        ("t.csv", gzip.compress(PLAIN.replace(",", ";").encode("utf-16"), mtime=0)),
    ],
)
def test_a_table_reads_the_same_however_it_was_saved(tmp_path: Path, name: str, data: bytes) -> None:
    for folder in (put(tmp_path / "in", {**IMAGES, name: data}), pack(tmp_path / "in.zip", {**IMAGES, name: data})):
        found, bad = read(csv.read, folder)
        assert [r.votes for r in found] == [{"happy": 1}, {"sad": 1}]
        assert not bad


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"img/a.png,happy\nimg/b.png,sad\n", "has no header: its first row is img/a.png, happy"),
        (b"img/a.png;happy\n", "has no header"),
        (b"path/label\na.png/happy\n", "The whole line is one column"),
        (b"PK\x03\x04xxxx", "is a zip or an Excel file, not a table in text"),
        (b"<!DOCTYPE html>\n<html>", "is a web page, not a table"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a git-lfs pointer"),
        (b"\x89HDF\r\n", "is an HDF5 file"),
        (b"path,label\n" + bytes(300), "is no text, it holds zero bytes"),
        (b"", 'Unknown column of t.csv "path"'),
    ],
)
def test_what_is_no_table_says_what_it_is(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(EmolabError) as caught:
        csv.read.survey(put(tmp_path, {**IMAGES, "t.csv": data}), {})
    assert message in str(caught.value)


def test_a_line_that_does_not_end_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emolab.datasets.readers.table.LINE_LIMIT", 1 << 16)
    bomb = gzip.compress(b"path,label\n" + b"x" * (1 << 22))
    with pytest.raises(DataError, match="line 2 has more than 65,536 characters"):
        csv.read.survey(put(tmp_path, {"t.csv.gz": bomb}), {})


@pytest.mark.parametrize(
    "path",
    ["img\\a.png", ".\\img\\a.png", "img/./a.png", "IMG\\A.PNG", "img\\.\\a.png", "./img/a.png", "img//a.png"],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_paths_written_elsewhere_are_found(tmp_path: Path, path: str, zipped: bool) -> None:
    files = {**IMAGES, "t.csv": f"path,label\n{path},happy\n"}
    folder = pack(tmp_path / "in.zip", files) if zipped else put(tmp_path / "in", files)
    (record,), bad = read(csv.read, folder)
    assert record.media == (png(1) if zipped else folder / "img/a.png")
    assert not bad
    if not zipped and path == path.lower():
        (record,), _ = read(csv.read, folder / "t.csv")
        assert Path(str(record.media)).read_bytes() == png(1)


@pytest.mark.parametrize("path", ["C:\\data\\a.png", "\\\\server\\a.png", "..\\a.png", "img\\..\\..\\a.png", "/a.png"])
def test_paths_that_lead_out_are_one_line(tmp_path: Path, path: str) -> None:
    files = {**IMAGES, "t.csv": f"path,label\n{path},happy\nimg/b.png,sad\n"}
    found, bad = read(csv.read, put(tmp_path / "in", files))
    assert len(found) == 1
    assert bad == [f"{path}#1: it lies outside of in"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("a.png,3.5,0,", '"3.5" as count of happy'),
        ("a.png,nan,0,", '"nan" as count of happy'),
        ("a.png,-1,0,", '"-1" as count of happy'),
        ("a.png,inf,0,", '"inf" as count of happy'),
        ("a.png,9999999999999,0,", "as count of happy"),
        ("a.png,many,0,", '"many" as count of happy'),
        ("a.png,3", "has 2 columns, expected 4"),
        ("a.png", "has 1 columns, expected 4"),
        ("a.png,3,0,,more", "has 5 columns, expected 4"),
        (",3,0,", "names no file"),
        ('"a.png,3,0,', "has 1 columns, expected 4"),
        ("\udcff.png,3,0,", "is not a table in UTF-8"),
    ],
)
def test_one_bad_row_of_a_table_is_one_line(tmp_path: Path, row: str, reason: str) -> None:
    table = f"path,happy,sad,note\nb.png,3.0,0.0,\n{row}\nc.png,,2,x\n".encode("utf-8", "surrogateescape")
    folder = put(tmp_path, {"t.csv": table, "a.png": png(1), "b.png": png(2), "c.png": png(3)})
    found, (bad,) = read(csv.read, folder, votes="happy,sad")
    assert [r.votes for r in found] == [{"happy": 3}, {"sad": 2}]
    assert reason in bad
    assert "#2: " in bad


def test_a_cell_over_several_lines_stays_one_row(tmp_path: Path) -> None:
    table = 'path,note,label\na.png,"one\ntwo, ""three""\n",happy\nb.png,"open,sad\nc.png,x,sad\n'
    put(tmp_path, {"t.csv": table, **{f"{n}.png": png(i) for i, n in enumerate("abc")}})
    found, bad = read(csv.read, tmp_path)
    assert [(r.key, r.votes) for r in found] == [("a.png#1", {"happy": 1}), ("c.png#3", {"sad": 1})]
    assert bad == ["t.csv#2: has 2 columns, expected 3"]


def pixel_row(seed: int, code: str = "3", usage: str = "Training") -> str:
    return f"{code},{pixel_text(seed)},{usage}\n"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (pixel_row(9)[:500] + "\n", "has 2 columns, expected 3"),
        (pixel_row(9)[:-20].rpartition(" ")[0] + ",Training\n", "pixels, expected 2,304"),
        (pixel_row(9).replace(" ", " x", 1), "no number from 0 to 255"),
        (pixel_row(9).replace(" ", " 256 ", 1), "no number from 0 to 255"),
        (pixel_row(9).replace(" ", " -1 ", 1), "no number from 0 to 255"),
        (pixel_row(9, "7"), 'has the emotion "7"'),
        (pixel_row(9, "-1"), 'has the emotion "-1"'),
        (pixel_row(9, "2.5"), 'has the emotion "2.5"'),
        (pixel_row(9, "nan"), 'has the emotion "nan"'),
        (pixel_row(9, ""), 'has the emotion ""'),
        (pixel_row(9, usage=""), "has no Usage"),
        (pixel_row(9).strip() + ",more\n", "has 4 columns, expected 3"),
    ],
)
def test_one_bad_row_of_pixels_is_one_line(tmp_path: Path, row: str, reason: str) -> None:
    put(tmp_path, {"fer2013.csv": "emotion,pixels,Usage\n" + pixel_row(1) + row + pixel_row(2, "0")})
    found, (bad,) = read(fer2013.read, tmp_path)
    assert [r.votes for r in found] == [{"happiness": 1}, {"anger": 1}]
    assert reason in bad


def votes_row(name: str, counts: str) -> str:
    return f'{name},"(0, 0, 48, 48)",{counts}\n'


@pytest.mark.parametrize(
    ("counts", "reason"),
    [
        ("4,0,0,1,3,2,0,0,0", "has 11 columns, expected 12"),
        ("4,0,0,1,3,2,0,0,0,0,0", "has 13 columns, expected 12"),
        ("4,0,0,1,x,2,0,0,0,0", '"x" for anger'),
        ("4,0,0,1,nan,2,0,0,0,0", '"nan" for anger'),
        ("4,0,0,1,-3,2,0,0,0,0", '"-3" for anger'),
        ("4,0,0,1,2.5,2,0,0,0,0", '"2.5" for anger'),
        ("4,0,", "has 5 columns, expected 12"),
    ],
)
def test_one_bad_row_of_fer_plus_is_one_line(tmp_path: Path, counts: str, reason: str) -> None:
    rows = (
        votes_row("a.png", "4.0,0.0,0,1,3,2,0,0,0,0") + votes_row("b.png", counts) + votes_row("c.png", "0," * 9 + "10")
    )
    put(tmp_path, {"FER2013Train/label.csv": rows, **{f"FER2013Train/{n}.png": png(i) for i, n in enumerate("abc")}})
    found, (bad,) = read(ferplus.read, tmp_path)
    assert [r.votes for r in found] == [{"neutral": 4, "sadness": 1, "anger": 3, "disgust": 2}, {"NF": 10}]
    assert reason in bad


def test_a_bad_row_of_either_joined_table_keeps_the_others_in_step(tmp_path: Path) -> None:
    header = "Usage,Image name," + ",".join(ferplus_protocols.COLUMNS) + "\n"
    votes = [f"Training,fer{i}.png,{'0,' * i}10{',0' * (9 - i)}\n" for i in range(4)]
    put(
        tmp_path,
        {
            "fer2013new.csv": header + votes[0] + votes[1].replace("10", "ten") + "".join(votes[2:]),
            "fer2013.csv": "emotion,pixels,Usage\n"
            + "".join(pixel_row(i) if i != 2 else pixel_row(i)[:90] + "\n" for i in range(4)),
        },
    )
    found, bad = read(ferplus.read, tmp_path)
    assert [(r.key, r.votes, r.media) for r in found] == [
        ("fer2013.csv:1", {"neutral": 10}, png(0)),
        ("fer2013.csv:4", {"sadness": 10}, png(3)),
    ]
    assert [line.partition(":")[0] for line in bad] == ["fer2013new.csv", "fer2013.csv"]


CODES = "emotion,pixels\n" + "".join(f"{i},{pixel_text(i)}\n" for i in range(3))


@pytest.mark.parametrize(
    ("files", "path", "splits"),
    [
        ({"train.csv": CODES, "test.csv": f"pixels\n{pixel_text(8)}\n", "sample_submission.csv": "id,emotion\n1,0\n"},
         "", {"train"}),
        ({"fer2013": CODES}, "fer2013", {None}),
        ({"fer2013": CODES}, "", {None}),
        ({"fer.csv.gz": gzip.compress(CODES.encode(), mtime=0)}, "fer.csv.gz", {None}),
        ({"data/faces.csv": CODES}, "", {None}),
        ({"fer2013.csv": CODES.replace(",", ";")}, "", {None}),
        ({"fer2013.csv": CODES.encode("utf-16")}, "", {None}),
        ({"fer2013.csv": CODES.replace("emotion,pixels", "Emotion,Pixels")}, "", {None}),
        ({"fer2013.csv": CODES.replace("0,", "0.0,", 1).replace("\n1,", "\n1.0,")}, "", {None}),
        ({"fer2013.csv": CODES.replace("\n0,", "\nanger,").replace("\n1,", "\ndisgust,").replace("\n2,", "\nfear,")},
         "", {None}),
    ],
)  # fmt: skip
def test_fer2013_under_the_names_it_goes_by(
    tmp_path: Path, files: dict[str, str | bytes], path: str, splits: set[str | None]
) -> None:
    found, bad = read(fer2013.read, put(tmp_path / "in", files) / path)
    assert [r.votes for r in found] == [{"anger": 1}, {"disgust": 1}, {"fear": 1}]
    assert {r.split for r in found} == splits
    assert not bad
    if not path:
        found, _ = read(fer2013.read, pack(tmp_path / "in.zip", files))
        assert len(found) == 3


def test_tables_named_after_splits_are_read_together_and_a_tar_says_what_it_is(tmp_path: Path) -> None:
    put(tmp_path / "a", {"train.csv": CODES, "val.csv": CODES, "test.csv": CODES})
    assert (
        sorted(str(r.split) for r in read(fer2013.read, tmp_path / "a")[0])
        == ["test"] * 3 + ["train"] * 3 + ["valid"] * 3
    )
    put(tmp_path / "b", {**IMAGES, "train.csv": PLAIN, "test.csv": PLAIN})
    assert [r.split for r in read(csv.read, tmp_path / "b")[0]] == ["test", "test", "train", "train"]
    assert {r.split for r in read(csv.read, tmp_path / "b", table="test.csv")[0]} == {"test"}
    tar = gzip.compress(b"fer2013/".ljust(257, b"\0") + b"ustar\0" + bytes(249))
    with pytest.raises(DataError, match="is a tar archive"):
        fer2013.read.survey(put(tmp_path / "c", {"fer2013.tar.gz": tar}) / "fer2013.tar.gz", {})
