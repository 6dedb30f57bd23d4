"""An evaluation set says what it kept, by which protocol, from which split, and knows the model's classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emolab.datasets.benchmark_set import evaluation_set, is_spec
from emolab.errors import DataError, UnknownName
from emolab.taxonomy import PRESETS
from tests.support.pictures import png, put

EIGHT = PRESETS["ferplus8"]
LABELS = (
    'fer1.png,"(0, 0, 48, 48)",0,8,0,0,0,2,0,0,0,0\n'
    'fer2.png,"(0, 0, 48, 48)",5,5,0,0,0,0,0,0,0,0\n'
    'fer3.png,"(0, 0, 48, 48)",0,0,0,0,0,0,0,9,1,0\n'
    'fer4.png,"(0, 0, 48, 48)",0,0,0,0,0,0,0,0,10,0\n'
)
FILES = {"FER2013Valid/label.csv": LABELS, **{f"FER2013Valid/fer{i}.png": png(i) for i in range(1, 5)}}


def test_fer_plus_is_judged_by_majority_unless_told_otherwise(tmp_path: Path) -> None:
    found = evaluation_set(f"ferplus:{put(tmp_path, FILES)}", EIGHT)
    assert (found.n, found.names, found.splits) == (2, ["fer1.png", "fer3.png"], ("valid",))
    assert [EIGHT[i] for i in found.targets] == ["happiness", "contempt"]
    assert found.distributions[0] == pytest.approx([0, 0.8, 0, 0, 0, 0.2, 0, 0])
    assert found.votes[1].tolist() == [0, 0, 0, 0, 0, 0, 0, 9]
    assert found.dropped == {"no majority": 2}
    assert found.protocol == (
        "FER+ majority: single votes zeroed, winner needs more than half of the rest, unknown and NF dropped; valid; "
        "n = 2 kept, dropped: 2 no majority; votes from FER2013Valid/label.csv"
    )
    assert found.media[0] == tmp_path / "FER2013Valid/fer1.png"


def test_other_protocols_keep_other_images(tmp_path: Path) -> None:
    spec = f"ferplus:{put(tmp_path, FILES)}"
    soft = evaluation_set(spec, EIGHT, protocol="crossentropy")
    assert soft.names == ["fer1.png", "fer2.png", "fer3.png"]
    assert soft.distributions[1][:2] == pytest.approx([0.5, 0.5])
    assert evaluation_set(spec, EIGHT, protocol="plurality").dropped == {"tie": 1, "won by no class": 1}
    with pytest.raises(UnknownName, match='Unknown protocol for ferplus "majorty"'):
        evaluation_set(spec, EIGHT, protocol="majorty")


def test_a_class_the_model_does_not_have_is_dropped_and_said(tmp_path: Path) -> None:
    found = evaluation_set(f"ferplus:{put(tmp_path, FILES)}", PRESETS["ekman7"])
    assert (found.n, found.dropped) == (1, {"no majority": 2, "contempt is no class of the model": 1})
    assert "1 contempt is no class of the model" in found.protocol


def test_classes_in_another_order_and_spelling_are_met_by_name(tmp_path: Path) -> None:
    found = evaluation_set(f"ferplus:{put(tmp_path, FILES)}", ("sad", "happy", "Contempt"))
    assert found.targets.tolist() == [1, 2]
    assert found.supported.tolist() == [True, True, True]


def test_the_most_held_out_split_is_judged(tmp_path: Path) -> None:
    put(tmp_path, {"train/happy/a.png": png(1), "val/happy/b.png": png(2), "test/sad/c.png": png(3)})
    spec, classes = f"image_folder:{tmp_path}", ("happiness", "sadness", "fear")
    found = evaluation_set(spec, classes)
    assert (found.names, found.splits) == (["sad/c.png"], ("test",))
    assert found.supported.tolist() == [True, True, False]
    assert evaluation_set(spec, classes, split="train").names == ["happy/a.png"]
    assert np.allclose(found.distributions.sum(axis=1), 1)


def test_what_cannot_be_judged_is_an_error(tmp_path: Path) -> None:
    put(tmp_path, {"train/happy/a.png": png(1)})
    spec = f"image_folder:{tmp_path}"
    with pytest.raises(DataError, match=r"has no test split\. It has: train"):
        evaluation_set(spec, ("happiness", "sadness"), split="test")
    with pytest.raises(DataError, match='Protocol "plurality" keeps none of the 1 images'):
        evaluation_set(spec, ("fear", "sadness"))
    with pytest.raises(UnknownName, match='Unknown reader "image_foldr"'):
        evaluation_set(f"image_foldr:{tmp_path}", ("fear", "sadness"))


def test_a_spec_is_a_known_reader_and_a_path() -> None:
    assert is_spec("ferplus:/data/x.zip")
    assert not is_spec("valid")
    assert not is_spec("nothing:/data/x.zip")


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize(("protocol", "n"), [("majority", 3191), ("crossentropy", 3508), ("plurality", 3396)])
def test_the_real_validation_set_has_the_published_size(shared_data: Path, protocol: str, n: int) -> None:
    found = evaluation_set(f"ferplus:{shared_data / 'ferplus_valid.zip'}", EIGHT, protocol=protocol)
    assert found.n == len(found.media) == len(found.targets) == n
    assert f"n = {n:,} kept" in found.protocol
