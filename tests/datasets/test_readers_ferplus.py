"""FER+: both published tables, both ways to join them, the official protocols, and the real files."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from emolab.datasets.readers.ferplus import read
from emolab.datasets.readers.ferplus_protocols import COLUMNS, crossentropy, majority
from emolab.datasets.readers.source import Damaged
from emolab.errors import DataError
from tests.support.pictures import pack, pixel_text, png, put

HEADER = "Usage,Image name," + ",".join(COLUMNS)
ROWS = 'fer0000000.png,"(0, 0, 48, 48)",4,0,0,1,3,2,0,0,0,0\nfer0000007.png,"(0, 0, 48, 48)",0,9,0,0,0,0,0,0,1,0\n'
PER_SPLIT = {
    "FER2013Train/label.csv": ROWS,
    "FER2013Train/fer0000000.png": png(1),
    "FER2013Train/fer0000007.png": png(2),
    "FER2013Test/label.csv": 'fer0000009.png,"(0, 0, 48, 48)",0,0,0,0,0,0,0,0,0,10\n',
    "FER2013Test/fer0000009.png": png(3),
}
COMBINED = (
    f"{HEADER}\nTraining,fer0000000.png,4,0,0,1,3,2,0,0,0,0\nTraining,,0,0,0,0,0,0,0,0,0,10\n"
    "PublicTest,fer0000005.png,0,10,0,0,0,0,0,0,0,0\n"
)
PIXELS = f"emotion,pixels,Usage\n0,{pixel_text(1)},Training\n1,{pixel_text(2)},Training\n3,{pixel_text(3)},PublicTest\n"


@pytest.mark.parametrize("zipped", [False, True])
def test_the_table_of_each_split_folder_keeps_votes_as_counts(tmp_path: Path, zipped: bool) -> None:
    path = pack(tmp_path / "a.zip", PER_SPLIT) if zipped else put(tmp_path / "a", PER_SPLIT)
    found = list(read(path, {}))
    assert [(r.key, r.votes, r.split, r.note) for r in found] == [
        ("fer0000009.png", {"NF": 10}, "test", "votes from FER2013Test/label.csv"),
        ("fer0000000.png", {"neutral": 4, "sadness": 1, "anger": 3, "disgust": 2}, "train",
         "votes from FER2013Train/label.csv"),
        ("fer0000007.png", {"happiness": 9, "unknown": 1}, "train", "votes from FER2013Train/label.csv"),
    ]  # fmt: skip
    survey = read.survey(path, {})
    assert (survey.records, survey.labels["happiness"], survey.labels["NF"]) == (3, 9, 10)


def test_one_split_folder_alone_tells_its_split_by_its_name(tmp_path: Path) -> None:
    put(tmp_path, PER_SPLIT)
    assert {r.split for r in read(tmp_path / "FER2013Test", {})} == {"test"}


def test_the_combined_table_joins_pixels_by_row(tmp_path: Path) -> None:
    put(tmp_path, {"fer2013new.csv": COMBINED, "fer2013.csv": PIXELS})
    found = list(read(tmp_path, {}))
    assert [(r.key, r.media, r.split, r.votes) for r in found] == [
        ("fer2013.csv:1", png(1), "train", {"neutral": 4, "sadness": 1, "anger": 3, "disgust": 2}),
        ("fer2013.csv:2", png(2), "train", {"NF": 10}),
        ("fer2013.csv:3", png(3), "valid", {"happiness": 10}),
    ]
    assert {r.note for r in found} == {"votes from fer2013new.csv, pixels from fer2013.csv by row"}


def test_the_combined_table_joins_images_by_name_and_the_last_of_two_equal_names_counts(tmp_path: Path) -> None:
    twice = COMBINED + "PublicTest,fer0000005.png,0,0,0,10,0,0,0,0,0,0\n"
    put(
        tmp_path,
        {
            "fer2013new.csv": twice,
            "data/FER2013Train/fer0000000.png": png(1),
            "data/FER2013Valid/fer0000005.png": png(2),
        },
    )
    assert [(r.key, r.votes, r.split) for r in read(tmp_path, {})] == [
        ("fer0000000.png", {"neutral": 4, "sadness": 1, "anger": 3, "disgust": 2}, "train"),
        ("fer0000005.png", {"sadness": 10}, "valid"),
    ]


def test_a_single_missing_image_is_a_record_without_media(tmp_path: Path) -> None:
    some = {name: data for name, data in PER_SPLIT.items() if name != "FER2013Train/fer0000007.png"}
    found = {r.key: r.media for r in read(pack(tmp_path / "a.zip", some), {})}
    missing = found.pop("fer0000007.png")
    assert isinstance(missing, Damaged)
    assert missing.reason == "it is not in a.zip"
    assert not any(isinstance(media, Damaged) for media in found.values())


def test_tables_that_do_not_belong_together_are_an_error(tmp_path: Path) -> None:
    put(tmp_path, {"fer2013new.csv": COMBINED, "fer2013.csv": "\n".join(PIXELS.splitlines()[:3])})
    with pytest.raises(DataError, match=r"only fer2013new\.csv has a row 3"):
        list(read(tmp_path, {}))
    put(tmp_path, {"fer2013.csv": PIXELS.replace("PublicTest", "Training")})
    with pytest.raises(DataError, match=r"Row 3 is valid in fer2013new\.csv but train in fer2013\.csv"):
        list(read(tmp_path, {}))


def test_both_tables_at_once_need_a_choice(tmp_path: Path) -> None:
    put(tmp_path, {**PER_SPLIT, "fer2013new.csv": COMBINED})
    with pytest.raises(DataError, match=r"holds both tables of FER\+, and they differ for 1,602 images"):
        list(read(tmp_path, {}))
    assert len(list(read(tmp_path, {"table": "label.csv"}))) == 3
    assert len(list(read(tmp_path, {"table": "fer2013new.csv"}))) == 1
    with pytest.raises(DataError, match=r"has no other\.csv"):
        list(read(tmp_path, {"table": "other.csv"}))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a/fer0.png": png(1)}, "has no FER+ table"),
        ({"FER2013Train/label.csv": ROWS}, "lists 2 images and none of them is beside it"),
        ({"FER2013Train/label.csv": "a.png,1,2\n"}, "Row 1 of FER2013Train/label.csv has 3 columns"),
        (
            {"FER2013Train/label.csv": ROWS.replace(",0,0,0,0", ",0,0,x,0")},
            "holds a vote count that is no whole number",
        ),
        ({"images/label.csv": ROWS}, 'lies in "images", which names no split'),
        (
            {"fer2013new.csv": COMBINED.replace("PublicTest", "Holdout"), "fer2013.csv": PIXELS},
            'holds what names no split: "Holdout" (1 row)',
        ),
        ({"fer2013new.csv": "a,b\n", "fer2013.csv": PIXELS}, "fer2013new.csv begins with a, b"),
        ({"fer2013new.csv": COMBINED}, "neither fer2013.csv nor the images it names"),
    ],
)
def test_a_layout_that_is_not_fer_plus_is_an_error(tmp_path: Path, files: dict[str, str], message: str) -> None:
    put(tmp_path, {"empty.txt": "", **files})
    with pytest.raises(DataError) as caught:
        list(read.survey(tmp_path, {}).labels) and list(read(tmp_path, {}))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("votes", "winner"),
    [
        ({"anger": 6, "disgust": 3, "NF": 1}, "anger"),
        ({"anger": 5, "disgust": 5}, None),
        ({"anger": 5, "disgust": 4, "fear": 1}, "anger"),
        ({"anger": 2, "disgust": 1, "fear": 1, "sadness": 1, "neutral": 1}, "anger"),
        ({"unknown": 8, "anger": 2}, None),
        ({"NF": 10}, None),
        (dict.fromkeys(COLUMNS, 1), None),
        ({}, None),
    ],
)
def test_majority_zeroes_single_votes_and_wants_more_than_half(votes: dict[str, int], winner: str | None) -> None:
    assert majority(votes) == winner


@pytest.mark.parametrize(
    ("votes", "shares"),
    [
        ({"anger": 8, "disgust": 2}, {"anger": 1.0}),
        ({"anger": 5, "disgust": 4, "fear": 1}, {"anger": 5 / 9, "disgust": 4 / 9}),
        ({"anger": 5, "disgust": 5}, {"anger": 0.5, "disgust": 0.5}),
        ({"anger": 4, "unknown": 4, "fear": 2}, None),
        ({"anger": 6, "unknown": 4}, {"anger": 1.0}),
        ({"unknown": 6, "anger": 4}, None),
        ({"neutral": 4, "anger": 2, "disgust": 2, "fear": 2}, None),
        ({"neutral": 1, "anger": 1}, None),
    ],
)
def test_crossentropy_keeps_up_to_three_leading_emotions(
    votes: dict[str, int], shares: dict[str, float] | None
) -> None:
    assert crossentropy(votes) == (None if shares is None else pytest.approx(shares))


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "images", "kept", "counts"),
    [
        ("train", 28558, 25045, (8733, 7284, 3136, 3022, 2098, 116, 536, 120)),
        ("valid", 3579, 3191, (1180, 862, 411, 348, 289, 25, 60, 16)),
    ],
)
def test_the_real_files_keep_the_published_numbers(
    shared_data: Path, name: str, images: int, kept: int, counts: tuple[int, ...]
) -> None:
    found = list(read(shared_data / f"ferplus_{name}.zip", {}))
    winners = Counter(majority(record.votes) for record in found)
    assert len(found) == images
    assert images - winners[None] == kept
    assert tuple(winners[column] for column in COLUMNS[:8]) == counts
    assert {record.split for record in found} == {name}
