"""Splits and levels of folders: what is known without doubt, what is asked for, and what is never guessed."""

from __future__ import annotations

from pathlib import Path

import pytest

from emolab.datasets.readers import csv, fer2013, image_folder
from emolab.datasets.readers.split_words import looks_like_split, split_of
from emolab.errors import DataError
from tests.support.pictures import pixel_text, png, put


@pytest.mark.parametrize(
    ("split", "words"),
    [
        ("train", "Training train_set trainset TRAIN train-images TrainImages FER2013Train data_train 训练集"),
        ("valid", "val val_set VALID validation-data dev PublicTest Public_Test public-test 验证集"),
        ("test", "Test testing test_images TestSet private_test PrivateTest eval FER2013Test 测试集"),
    ],
)
def test_words_that_name_a_split_without_doubt(split: str, words: str) -> None:
    assert {word: split_of(word) for word in words.split()} == dict.fromkeys(words.split(), split)
    assert split_of(f"{words.split(maxsplit=1)[0]} Data") == split


@pytest.mark.parametrize("word", ["train_1", "fold3", "Holdout", "hold-out", "trainval", "test2", "val_b", "split_a"])
def test_words_that_only_look_like_a_split(word: str) -> None:
    assert split_of(word) is None
    assert looks_like_split(word)


@pytest.mark.parametrize(
    "word", ["happy", "S01", "contest", "greatest", "strain", "devil", "evaluator_no", "valentine"]
)
def test_words_that_are_none(word: str) -> None:
    assert split_of(word) is None
    assert not looks_like_split(word)


def found(folder: Path, **options: str) -> list[tuple[str, str, str | None, str | None]]:
    return sorted((r.key, next(iter(r.votes)), r.split, r.group) for r in image_folder.read(folder, options))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("train_set/happy/a", "val_set/sad/b"), [("happy/a", "happy", "train"), ("sad/b", "sad", "valid")]),
        (("Training Data/happy/a", "Testing Data/sad/b"), [("happy/a", "happy", "train"), ("sad/b", "sad", "test")]),
        (("happy/train/a", "sad/test/b"), [("happy/train/a", "happy", "train"), ("sad/test/b", "sad", "test")]),
        (("set/happy/Training/a", "set/sad/dev/b"),
         [("happy/Training/a", "happy", "train"), ("sad/dev/b", "sad", "valid")]),
        (("train-images/happy/s1/a", "test-images/sad/s2/b"),
         [("happy/s1/a", "happy", "train"), ("sad/s2/b", "sad", "test")]),
        (("my_train_test_data/train/happy/a", "my_train_test_data/test/sad/b"),
         [("happy/a", "happy", "train"), ("sad/b", "sad", "test")]),
    ],
)  # fmt: skip
def test_splits_above_and_below_the_class_are_used(
    tmp_path: Path, names: tuple[str, ...], expected: list[tuple[str, str, str | None]]
) -> None:
    put(tmp_path, {f"{name}.png": png(i) for i, name in enumerate(names)})
    assert found(tmp_path) == [(f"{key}.png", label, split, None) for key, label, split in expected]


@pytest.mark.parametrize(
    ("names", "layout"),
    [
        (("S01/happy/a", "S02/sad/b"), "group/class"),
        (("actor_1/happy/a", "actor_2/sad/b", "actor_2/fear/c"), "group/class"),
        (("train/S01/happy/a", "test/S02/sad/b"), "split/group/class"),
        (("S01/session1/happy/a", "S02/session1/sad/b"), "group/-/class"),
        (("anna/train/angry/a", "bert/test/sad/b"), "group/split/class"),
    ],
)
def test_people_above_the_classes_stop_and_the_hint_reads_them(
    tmp_path: Path, names: tuple[str, ...], layout: str
) -> None:
    put(tmp_path, {f"{name}.png": png(i) for i, name in enumerate(names)})
    with pytest.raises(DataError, match="deeper, are") as caught:
        found(tmp_path)
    assert f"-o layout={layout};" in str(caught.value)
    rows = found(tmp_path, layout=layout)
    levels = layout.split("/")
    assert sorted((group, label) for _, label, _, group in rows) == sorted(
        (name.split("/")[levels.index("group")], name.split("/")[levels.index("class")]) for name in names
    )
    assert all((split is not None) == ("split" in levels) for _, _, split, _ in rows)


def test_what_the_splits_are_can_be_said(tmp_path: Path) -> None:
    put(tmp_path / "tree", {"part_1/happy/a.png": png(1), "part_2/happy/b.png": png(2), "extra/sad/c.png": png(3)})
    said = "part_1=train, part_2=test,extra=none"
    rows = found(tmp_path / "tree", splits=said)
    assert [(key, split) for key, _, split, _ in rows] == [
        ("happy/a.png", "train"), ("happy/b.png", "test"), ("sad/c.png", None),
    ]  # fmt: skip
    table = f"emotion,pixels,Usage\n0,{pixel_text(1)},A\n1,{pixel_text(2)},B\n"
    put(tmp_path / "table", {"fer2013.csv": table})
    assert [r.split for r in fer2013.read(tmp_path / "table", {"splits": "A=train,B=test"})] == ["train", "test"]
    with pytest.raises(DataError, match=r'splits="A" is not understood at "A"'):
        list(fer2013.read(tmp_path / "table", {"splits": "A"}))


@pytest.mark.parametrize("layout", ["group", "class/class", "class/people", "", "split/split/class"])
def test_a_layout_that_makes_no_sense_is_refused(tmp_path: Path, layout: str) -> None:
    put(tmp_path, {"happy/a.png": png(1)})
    with pytest.raises(DataError, match="is not understood"):
        found(tmp_path, layout=layout)


def test_all_values_that_are_no_split_are_said_with_their_rows(tmp_path: Path) -> None:
    rows = "".join(f"{i}.png,happy,{'train' if i < 3 else 'AB'[i % 2]}\n" for i in range(9))
    put(tmp_path, {"t.csv": "path,label,Usage\n" + rows})
    with pytest.raises(
        DataError, match=r'column Usage of t.csv holds what names no split: "B" \(3 rows\), "A" \(3 rows\)'
    ):
        csv.read.survey(tmp_path, {})
    assert [r.split for r in csv.read(tmp_path, {"split": ""})] == [None] * 9
    assert {r.split for r in csv.read(tmp_path, {"splits": "A=valid,B=none"})} == {"train", "valid", None}


def test_the_split_in_the_path_is_used_and_must_be_in_all_paths(tmp_path: Path) -> None:
    put(tmp_path, {"t.csv": "path,label\ndata/train/a.png,happy\ndata\\test\\b.png,sad\n"})
    assert [r.split for r in csv.read(tmp_path, {})] == ["train", "test"]
    put(tmp_path, {"t.csv": "path,label,split\ndata/train/a.png,happy,valid\n"})
    assert [r.split for r in csv.read(tmp_path, {})] == ["valid"]
