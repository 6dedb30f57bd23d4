"""GoEmotions: numbers become names, splits and sets of labels are told apart, bad rows are said."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from emolab.datasets.readers.goemotions import label_sets, read
from emolab.datasets.readers.source import Damaged
from emolab.errors import DataError, UnknownName
from tests.support.pictures import pack, put

FILES = {
    "go/ekman/labels.txt": "anger\njoy\nneutral",
    "go/ekman/train.tsv": 'He said "no\t0\te1\nSo, so good!\t1,2\te2\n',
    "go/ekman/dev.tsv": "fine 😀\t2\te3\n",
    "go/original/labels.txt": "annoyance\namusement\npride\nneutral\n",
    "go/original/train.tsv": 'He said "no\t0\te1\nSo, so good!\t1,3\te2\n',
}


@pytest.mark.parametrize("zipped", [False, True])
def test_numbers_become_names_and_quotes_are_only_signs(tmp_path: Path, zipped: bool) -> None:
    path = pack(tmp_path / "go.zip", FILES) if zipped else put(tmp_path, FILES)
    found = list(read(path, {}))
    assert sorted((r.key, r.media, dict(r.votes), r.split) for r in found) == [
        ("e1", b'He said "no', {"anger": 1}, "train"),
        ("e2", b"So, so good!", {"joy": 1, "neutral": 1}, "train"),
        ("e3", "fine 😀".encode(), {"neutral": 1}, "valid"),
    ]
    surveyed = read.survey(path, {})
    assert (surveyed.records, surveyed.labels) == (3, Counter(anger=1, joy=1, neutral=2))


def test_the_other_labels_can_be_asked_for(tmp_path: Path) -> None:
    put(tmp_path, FILES)
    assert [dict(r.votes) for r in read(tmp_path, {"labels": "original"})] == [
        {"annoyance": 1},
        {"amusement": 1, "neutral": 1},
    ]
    assert set(label_sets(tmp_path)) == {"ekman", "original"}
    with pytest.raises(UnknownName, match="Known: ekman, original"):
        list(read(tmp_path, {"labels": "sentiment"}))


def test_one_folder_of_tables_is_read_whatever_it_is_called(tmp_path: Path) -> None:
    put(tmp_path, {"emotions.txt": "joy\nfear\n", "test.tsv": "eek\t1\ta\n"})
    assert [(dict(r.votes), r.split) for r in read(tmp_path, {})] == [({"fear": 1}, "test")]


def test_bad_rows_are_said_and_the_others_go_on(tmp_path: Path) -> None:
    rows = b"good\t0\ta\nno id\t0\n\tlost\t0\nwhat\t7\tb\nhm\t-1\tc\n \t1\td\n\xff\xfe\t1\te\nfine\t1\tf\n"
    put(tmp_path, {"labels.txt": "joy\nfear\n"})
    (tmp_path / "train.tsv").write_bytes(rows)
    found = list(read(tmp_path, {}))
    assert [r.key for r in found if r.votes] == ["a", "f"]
    assert [(r.key, r.media.reason) for r in found if isinstance(r.media, Damaged)] == [
        ("train.tsv#2", "has 2 columns, expected 3: text, label numbers, id"),
        ("train.tsv#3", 'has the labels "lost", expected numbers from 0 to 1'),
        ("train.tsv#4", 'has the labels "7", expected numbers from 0 to 1'),
        ("train.tsv#5", 'has the labels "-1", expected numbers from 0 to 1'),
        ("train.tsv#6", "holds no text"),
        ("train.tsv#7", "is not UTF-8"),
    ]


def test_what_is_no_goemotions_is_refused_with_what_is_expected(tmp_path: Path) -> None:
    put(tmp_path, {"train.tsv": "good\t0\ta\n"})
    with pytest.raises(DataError, match="holds no GoEmotions") as raised:
        list(read(tmp_path, {}))
    assert "labels.txt" in str(raised.value.hint)


@pytest.mark.shared
def test_the_published_tables_have_the_published_counts(shared_data: Path) -> None:
    surveyed = read.survey(shared_data / "goemotions.zip", {})
    assert surveyed.records == 43_410 + 5_426
    assert set(surveyed.labels) == {"anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise"}
    splits = Counter(r.split for r in read(shared_data / "goemotions.zip", {"labels": "original"}))
    assert splits == {"train": 43_410, "valid": 5_426}
