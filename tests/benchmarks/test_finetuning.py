"""Classes made from those of FER+: votes are added up, and what has no place is left out."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from benchmarks.finetuning import SETS, Faces, translated
from benchmarks.first_models import CLASSES


def faces() -> Faces:
    """A happy face, a frightened one that some call angry, and one of contempt."""
    shares = np.zeros((3, len(CLASSES)), dtype=np.float32)
    shares[0, CLASSES.index("happiness")] = 1
    shares[1, [CLASSES.index("fear"), CLASSES.index("anger")]] = 0.75, 0.25
    shares[2, CLASSES.index("contempt")] = 1
    none = np.arange(0)
    return Faces(
        distributions=shares,
        targets=shares.argmax(axis=1).astype(np.int64),
        learn=none,
        judged=none,
        pixels=lambda wanted: np.zeros((3, wanted.size, wanted.size, wanted.channels), np.uint8),
    )


def test_votes_for_classes_of_one_name_are_added_up() -> None:
    classes, shares, hard = translated(faces(), SETS["arousal4"])
    assert classes == ("positive", "negative_high_arousal", "negative_low_arousal", "neutral")
    np.testing.assert_allclose(shares, [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]])
    assert hard.tolist() == [0, 1, 2]


def test_a_face_whose_class_has_no_place_gets_no_winner() -> None:
    classes, shares, hard = translated(faces(), SETS["ekman7"])
    assert "contempt" not in classes
    assert hard.tolist() == [classes.index("happiness"), classes.index("fear"), -1]
    assert shares[2].sum() == 0


@pytest.mark.parametrize("name", SETS)
def test_every_set_speaks_of_classes_of_ferplus(name: str) -> None:
    assert set(SETS[name]) <= set(CLASSES)
