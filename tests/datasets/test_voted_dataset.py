"""Open datasets as people to ask."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emolab.datasets.voted_dataset import label_names, read, units
from emolab.errors import DataError, UnknownName

CLASSES = ("anger", "fear", "sadness")


def picture(path: Path, seed: int, *, size: int = 40) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 255, (8, 8), dtype=np.uint8)
    Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC).save(path)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    for i in range(5):
        picture(tmp_path / f"{i}.png", i)
    (tmp_path / "votes.csv").write_text(
        "path,label,split,annotator\n"
        "0.png,anger,train,ann\n0.png,anger,train,bob\n0.png,fear,train,eve\n"
        "1.png,fear,train,ann\n1.png,unknown,train,bob\n"
        "2.png,sadness,test,ann\n"
        "3.png,boredom,train,ann\n"
        "4.png,sadness,train,ann\n"
    )
    return tmp_path / "votes.csv"


def test_records_of_one_image_are_several_people_and_other_words_are_skips(table: Path) -> None:
    found = read(f"csv:{table}", CLASSES)
    assert [name.partition("#")[0] for name in found.names] == ["0.png", "1.png", "2.png", "4.png"]
    assert len(set(found.ids)) == 4
    assert found.votes.tolist() == [[2, 1, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1]]
    assert found.skips.tolist() == [0, 1, 0, 0]
    assert (found.silent, found.unreadable) == (1, 0)
    assert found.splits == ["train", "train", "test", "train"]


def test_one_split_alone_can_be_asked(table: Path) -> None:
    assert read(f"csv:{table}", CLASSES, split="test").votes.tolist() == [[0, 0, 1]]
    with pytest.raises(DataError, match=r"None of the 0 images of .* in the split valid has a vote for anger"):
        read(f"csv:{table}", CLASSES, split="valid")
    with pytest.raises(UnknownName, match='Unknown split "training"'):
        read(f"csv:{table}", CLASSES, split="training")


def test_classes_nobody_named_are_an_error_that_says_how_to_name_others(table: Path) -> None:
    with pytest.raises(DataError, match="has a vote for joy, calm") as got:
        read(f"csv:{table}", ("joy", "calm"))
    assert "--set project.classes" in str(got.value)
    assert label_names(f"csv:{table}") == ["anger", "boredom", "fear", "sadness", "unknown"]


def test_near_copies_share_a_number_and_flat_images_stand_alone(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", 1)
    picture(tmp_path / "b.png", 1, size=60)
    picture(tmp_path / "c.png", 2)
    for name in ("d.png", "e.png"):
        Image.new("L", (40, 40), 128).save(tmp_path / name)
    found = units([tmp_path / "a.png", (tmp_path / "b.png").read_bytes(), *(tmp_path / f"{x}.png" for x in "cde")])
    assert found[0] == found[1]
    assert len(set(found.tolist())) == 4
