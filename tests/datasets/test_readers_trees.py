"""Rules that hold for every registered reader: what is passed over, what ends, what a split is, what one label is."""

from __future__ import annotations

import os
import socket
import unicodedata
import zipfile
from pathlib import Path

import pytest

from emolab.datasets.file_names import HIDDEN
from emolab.datasets.readers.reader import Reader, as_reader
from emolab.datasets.readers.source import Damaged
from emolab.errors import EmolabError
from emolab.plugins import READERS
from emolab.records import Record
from tests.support.pictures import pack, pixel_text, png, put

Files = dict[str, bytes | str]

FERPLUS_ROW = '{},"(0, 0, 48, 48)",4,0,0,1,3,2,0,0,0,0\n'

#: A small dataset for each reader, and the same with a split that nobody can understand.
DATASETS: dict[str, Files] = {
    "image_folder": {"train/happy/a.png": png(1), "train/sad/b.png": png(2), "test/sad/c.png": png(3)},
    "csv": {
        "t.csv": "path,label,split\nimg/a.png,happy,train\nimg/b.png,sad,test\n",
        "img/a.png": png(1),
        "img/b.png": png(2),
    },
    "fer2013": {"fer2013.csv": f"emotion,pixels,Usage\n0,{pixel_text(1)},Training\n3,{pixel_text(2)},PublicTest\n"},
    "ferplus": {
        "FER2013Train/label.csv": FERPLUS_ROW.format("a.png") + FERPLUS_ROW.format("b.png"),
        "FER2013Train/a.png": png(1),
        "FER2013Train/b.png": png(2),
    },
    "goemotions": {
        "ekman/train.tsv": "So glad you came\t0\taaa\nI miss her\t1\tbbb\n",
        "ekman/labels.txt": "joy\nsadness\n",
    },
}
#: Readers of voices: their files name no split; a clip that is no file is counted as a file of another kind.
VOICES: dict[str, Files] = {
    "ravdess": {"Actor_01/03-01-03-01-01-01-01.wav": "a", "Actor_02/03-01-04-01-01-01-02.wav": "b"},
    "tess": {"OAF_happy/OAF_back_happy.wav": "a", "YAF_sad/YAF_back_sad.wav": "b"},
    "savee": {"DC/h01.wav": "a", "JE/sa01.wav": "b"},
    "cremad": {
        "AudioWAV/1001_DFA_HAP_XX.wav": "a",
        "tabulatedVotes.csv": ",A,D,F,H,N,S,fileName\n100001,0,0,0,9,1,0,1001_DFA_HAP_XX\n",
    },
    "cremad_intended": {"AudioWAV/1001_DFA_HAP_XX.wav": "a", "AudioWAV/1002_DFA_SAD_XX.wav": "b"},
}
DATASETS |= VOICES
UNCLEAR: dict[str, list[Files]] = {
    "image_folder": [
        {f"{top}/happy/a.png": png(1), f"{other}/happy/b.png": png(2)}
        for top, other in (("train_1", "test_1"), ("fold0", "fold1"), ("train", "Holdout"), ("trainval", "test"),
                           ("unseen", "train"), ("split-a", "split-b"), ("train", "happy"))
    ] + [
        {"happy/train/a.png": png(1), "happy/b.png": png(2)},
        {"happy/fold1/a.png": png(1), "happy/fold2/b.png": png(2)},
        {"happy/train/a.png": png(1), "happy/other/b.png": png(2)},
        {"happy/s1/train/a.png": png(1), "happy/s1/test/b.png": png(2)},
    ],
    "csv": [
        {"t.csv": text, "a.png": png(1), "b.png": png(2)}
        for text in (
            "path,label,split\na.png,happy,A\nb.png,sad,B\n",
            "path,label,Usage\na.png,happy,train\nb.png,sad,Holdout\n",
            "path,label,fold\na.png,happy,0\nb.png,sad,1\n",
            "path,label,is_train\na.png,happy,True\nb.png,sad,False\n",
            "path,label,part\na.png,happy,train\nb.png,sad,test\n",
            "path,label\ntrain/a.png,happy\nb.png,sad\n",
            "path,label,split\na.png,happy,nan\nb.png,sad,train\n",
        )
    ],
    "fer2013": [
        {"fer2013.csv": f"emotion,pixels,Usage\n0,{pixel_text(1)},{one}\n3,{pixel_text(2)},{two}\n"}
        for one, two in (("A", "B"), ("Training", "Holdout"), ("Training", "Final"), ("1", "2"), ("fold1", "fold2"))
    ] + [{"fold1/angry/a.png": png(1), "fold2/angry/b.png": png(2)}],
    "ferplus": [
        {f"{folder}/label.csv": FERPLUS_ROW.format("a.png"), f"{folder}/a.png": png(1)}
        for folder in ("images", "FER2013", "fold1", "Holdout", "part_1")
    ],
}  # fmt: skip
JUNK: Files = {
    "LICENSE": "terms", "README": "read me", "paper.docx": "PK", "model.h5": "x", "run.sh": "#!",
    "img/notes.docx": "PK", ".git/HEAD": "x", ".git/a.png": png(7), "__MACOSX/._a.png": "x",
    "img/__MACOSX/a.png": png(8),
    ".ipynb_checkpoints/a-checkpoint.png": png(9), ".Trash-1000/files/old.png": png(9), ".thumbnails/a.png": png(9),
    "Thumbs.db": "x", "desktop.ini": "x", "@eaDir/a.png": png(9), "$RECYCLE.BIN/a.png": png(9), ".DS_Store": "x",
}  # fmt: skip
HIDDEN_JUNK = 11  # entries of JUNK that are hidden, a folder counted once
STRAY_JUNK = 6


def reader(name: str) -> Reader:
    return as_reader(READERS.load(name))


def told(found: list[Record]) -> list[tuple[str, dict[str, int], str | None, bool]]:
    return sorted((r.key, dict(r.votes), r.split, isinstance(r.media, Damaged)) for r in found)


@pytest.fixture(params=READERS.names())
def named(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    if name not in DATASETS:
        assert name not in READERS.builtins, f"give {name} a small dataset here"
        pytest.skip(f"{name} comes from another package")
    return name


def test_a_zip_reads_as_the_folder_and_junk_is_passed_over_and_counted(named: str, tmp_path: Path) -> None:
    read, plain = reader(named), DATASETS[named]
    clean = told(list(read(put(tmp_path / "clean", plain), {})))
    folder, archive = put(tmp_path / "set", {**plain, **JUNK}), pack(tmp_path / "set.zip", {**plain, **JUNK})
    assert told(list(read(folder, {}))) == told(list(read(archive, {}))) == clean
    counts = read.survey(folder, {})
    assert counts.ignored == read.survey(archive, {}).ignored
    assert counts.ignored[HIDDEN] == HIDDEN_JUNK
    assert counts.ignored.total() == HIDDEN_JUNK + STRAY_JUNK
    assert counts.records == len(clean)


def test_names_of_a_zip_made_on_windows(named: str, tmp_path: Path) -> None:
    read, plain = reader(named), DATASETS[named]
    archive = pack(tmp_path / "a.zip", plain)
    made_on_windows = pack(
        tmp_path / "b.zip", {f"set\\{name}".replace("/", "\\"): data for name, data in plain.items()}
    )
    assert [r.votes for r in read(made_on_windows, {})] == [r.votes for r in read(archive, {})]


def test_a_split_that_is_not_understood_stops_and_says_what_was_seen(named: str, tmp_path: Path) -> None:
    if named in VOICES:
        pytest.skip("no splits are published")
    if named == "goemotions":
        pytest.skip("a table that is not called by a split is no part of it, and counted as passed over")
    assert len(UNCLEAR[named]) >= 5
    for number, files in enumerate(UNCLEAR[named]):
        folder = put(tmp_path / f"set{number}" / "data", files)
        for call in (lambda f=folder: reader(named).survey(f, {}), lambda f=folder: list(reader(named)(f, {}))):
            with pytest.raises(EmolabError, match="split") as caught:
                call()
            assert caught.value.hint


@pytest.mark.parametrize("kind", ["pipe", "socket", "/dev/zero", "/dev/full", "loop", "gone", "folder"])
def test_what_is_no_file_is_one_line_and_never_waited_for(named: str, kind: str, tmp_path: Path) -> None:
    if named in VOICES:
        pytest.skip("a clip that is no file is counted with the files of other kinds")
    read = reader(named)
    folder = put(tmp_path / "set", DATASETS[named])
    victim = next((p for p in sorted(folder.rglob("*.png"))), None) or folder / "extra.png"
    victim.unlink(missing_ok=True)
    special(victim, kind)
    before = len(list(reader(named)(put(tmp_path / "clean", DATASETS[named]), {})))
    survey, found = read.survey(folder, {}), list(read(folder, {}))
    assert len(found) in (before, before - (kind == "folder"))
    assert survey.records == len(found)
    broken = [r for r in found if isinstance(r.media, Damaged)]
    if named not in ("fer2013", "goemotions") and kind != "folder":
        lost = [r for r in broken if "not a file" in r.media.reason or "link" in r.media.reason]  # type: ignore[union-attr]
        assert len(lost) == 1, broken
    table = next((p for p in sorted(folder.rglob("*.csv"))), None)
    if table is not None:
        table.unlink()
        special(table, kind)
        with pytest.raises((EmolabError, OSError)):
            list(read(folder, {}))


@pytest.mark.parametrize("kind", ["pipe", "socket", "/dev/zero", "/dev/random", "loop"])
def test_a_path_that_is_no_file_is_one_line(named: str, kind: str, tmp_path: Path) -> None:
    special(tmp_path / "x.csv", kind)
    for call in (reader(named).survey, lambda path, options: list(reader(named)(path, options))):
        with pytest.raises(EmolabError) as caught:
            call(tmp_path / "x.csv", {})
        assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("kind", ["pipe", "socket", "/dev/zero", "/dev/full", "/dev/random"])
def test_a_table_that_names_what_never_ends_has_one_bad_row(kind: str, tmp_path: Path) -> None:
    put(tmp_path, {"t.csv": "path,label\n.a.png,happy\nb.png,sad\n", "b.png": png(2)})
    special(tmp_path / ".a.png", kind)
    for path in (tmp_path, tmp_path / "t.csv"):
        bad, good = (r.media for r in reader("csv")(path, {}))
        assert isinstance(bad, Damaged)
        assert bad.reason == "a device or pipe, not a file"
        assert good == tmp_path / "b.png"


def test_bombs_end_at_once(named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emolab.datasets.collect.archive.BOMB_BYTES", 1 << 20)
    with zipfile.ZipFile(tmp_path / "many.zip", "w", zipfile.ZIP_DEFLATED) as out:
        for name in (*DATASETS[named], "train/happy/big.png"):
            out.writestr(name, bytes(3 << 20))
    for path in (tmp_path / "many.zip", overlapping(tmp_path / "overlap.zip", DATASETS[named])):
        with pytest.raises(EmolabError, match="zip bomb"):
            reader(named).survey(path, {})


@pytest.mark.parametrize("label", ["Überraschung", "Ärger", "peur été", "기쁨", "café"])
def test_one_letter_in_two_unicode_forms_is_one_label(label: str, tmp_path: Path) -> None:
    one, two = (unicodedata.normalize(form, label) for form in ("NFC", "NFD"))
    assert one != two
    put(tmp_path / "tree", {f"{one}/a.png": png(1), f"{two}/b.png": png(2)})
    put(tmp_path / "table", {"t.csv": f"path,label\na.png,{one}\nb.png,{two}\n", "a.png": png(1), "b.png": png(2)})
    put(tmp_path / "pixels", {"fer2013.csv": f"emotion,pixels\n{one},{pixel_text(1)}\n{two},{pixel_text(2)}\n"})
    for name, folder in (("image_folder", "tree"), ("csv", "table"), ("fer2013", "pixels")):
        assert reader(name).survey(tmp_path / folder, {}).labels == {one: 2}
        assert [dict(r.votes) for r in reader(name)(tmp_path / folder, {})] == [{one: 1}] * 2


def test_a_name_twice_in_a_zip_counts_once_and_is_noted(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as out, pytest.warns(UserWarning, match="Duplicate"):
        for name, seed in (("happy/a.png", 1), ("sad/b.png", 2), ("happy/a.png", 3)):
            out.writestr(name, png(seed))
    read = reader("image_folder")
    assert [(r.key, r.media) for r in read(tmp_path / "a.zip", {})] == [
        ("happy/a.png", png(3)),
        ("sad/b.png", png(2)),
    ]
    (problem,) = read.survey(tmp_path / "a.zip", {}).problems
    assert (problem.kind, problem.taken) == ("name twice", True)


def test_a_folder_name_that_is_no_text_is_shown_and_stored(tmp_path: Path) -> None:
    put(tmp_path, {"happy/a.png": png(1)})
    os.rename(tmp_path / "happy", os.fsencode(tmp_path) + b"/caf\xe9")  # noqa: PTH104 - bytes
    (record,) = reader("image_folder")(tmp_path, {})
    assert (record.key, record.votes) == ("caf\\xe9/a.png", {"caf\\xe9": 1})


def special(path: Path, kind: str) -> None:
    """Put something that is no file at ``path``."""
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        before = Path.cwd()
        os.chdir(path.parent)  # names of sockets are short
        try:
            with socket.socket(socket.AF_UNIX) as made:
                made.bind(path.name)
        finally:
            os.chdir(before)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to({"loop": path.name, "gone": "nowhere"}.get(kind, kind))


def overlapping(path: Path, files: Files) -> Path:
    """A zip of which two members share their bytes."""
    names = [*sorted(files)[:1], "train/happy/zz.png"]
    pack(path, dict.fromkeys(names, png(1)))
    data = bytearray(path.read_bytes())
    entries = [at for at in range(len(data)) if data[at : at + 4] == b"PK\x01\x02"]
    data[entries[1] + 42 : entries[1] + 46] = data[entries[0] + 42 : entries[0] + 46]
    path.write_bytes(bytes(data))
    return path
