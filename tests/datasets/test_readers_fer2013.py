"""FER2013: both spellings of the csv, the folder form, and copies that somebody augmented."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emolab.datasets.readers import fer2013
from emolab.datasets.readers.fer2013 import read
from emolab.errors import DataError
from tests.support.pictures import pack, pixel_text, pixels, png, put

PLAIN = (
    f"emotion,pixels,Usage\n0,{pixel_text(1)},Training\n3,{pixel_text(2)},PublicTest\n6,{pixel_text(3)},PrivateTest\n"
)
CHALLENGE = f"emotion, Usage, pixels\n0,Training,{pixel_text(1)}\n3,PublicTest,{pixel_text(2)}\n"


def test_codes_become_names_and_pixels_become_images(tmp_path: Path) -> None:
    put(tmp_path, {"fer2013.csv": PLAIN})
    found = list(read(tmp_path / "fer2013.csv", {}))
    assert [(r.key, r.votes, r.split) for r in found] == [
        ("fer2013.csv:1", {"anger": 1}, "train"),
        ("fer2013.csv:2", {"happiness": 1}, "valid"),
        ("fer2013.csv:3", {"neutral": 1}, "test"),
    ]
    for seed, record in enumerate(found, start=1):
        assert isinstance(record.media, bytes)
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(record.media))), pixels(seed))
    assert read.survey(tmp_path, {}).labels == {"anger": 1, "happiness": 1, "neutral": 1}


def test_the_challenge_file_with_leading_spaces_reads_the_same(tmp_path: Path) -> None:
    archive = pack(tmp_path / "fer.zip", {"data/icml_face_data.csv": CHALLENGE})
    assert [(r.votes, r.split) for r in read(archive, {})] == [
        ({"anger": 1}, "train"),
        ({"happiness": 1}, "valid"),
    ]


def test_the_folder_form_keeps_its_two_splits(tmp_path: Path) -> None:
    put(tmp_path, {"train/angry/Training_1.jpg": png(1), "test/happy/PublicTest_2.jpg": png(2)})
    assert [(r.key, r.votes, r.split, r.note) for r in read(tmp_path, {})] == [
        ("happy/PublicTest_2.jpg", {"happy": 1}, "test", None),
        ("angry/Training_1.jpg", {"angry": 1}, "train", None),
    ]
    assert read.survey(tmp_path, {}).records == 2


def test_augmented_copies_are_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(
        tmp_path,
        {
            "train/angry/Training_1.jpg": png(1),
            "train/angry/Training_1_flip.jpg": png(2),
            "train/disgust/a.jpg": png(3),
            "train/disgust/b.jpg": png(4),
        },
    )
    monkeypatch.setitem(fer2013.PUBLISHED, "train", (3995, 1, 4097, 7215, 4830, 3171, 4965))
    assert {r.key: r.note for r in read(tmp_path, {})} == {
        "angry/Training_1.jpg": None,
        "angry/Training_1_flip.jpg": "file name looks like an augmented copy",
        "disgust/a.jpg": "folder train/disgust looks augmented: 2 images, published 1",
        "disgust/b.jpg": "folder train/disgust looks augmented: 2 images, published 1",
    }


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("emotion,pixels\n7,1 2\n", 'has the emotion "7", expected a code from 0 to 6'),
        ("emotion,pixels\n1,1 2\n", "has 2 pixels, expected 2,304"),
        ("emotion,pixels\n1,1 x\n", "no number from 0 to 255"),
        ("emotion,pixels\n1,1 300\n", "no number from 0 to 255"),
        ("a,b\n1,2\n", "has the columns a, b. Expected emotion, pixels and Usage"),
        ("emotion,pixels\n1\n", "has 1 columns, expected 2"),
    ],
)
def test_a_damaged_table_is_an_error(tmp_path: Path, table: str, message: str) -> None:
    put(tmp_path, {"fer2013.csv": table})
    with pytest.raises(DataError) as caught:
        list(read(tmp_path, {}))
    assert message in str(caught.value)


def test_two_tables_of_the_same_images_are_an_error(tmp_path: Path) -> None:
    put(tmp_path, {"fer2013.csv": PLAIN, "icml_face_data.csv": CHALLENGE})
    with pytest.raises(DataError, match="holds several tables with pixels"):
        list(read(tmp_path, {}))
