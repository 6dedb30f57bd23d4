"""What is measured of a sentence: five numbers that say what n-grams do not."""

from __future__ import annotations

import numpy as np
import pytest

from emolab.modalities.problems import Refused
from emolab.modalities.text import projection
from emolab.modalities.text.sentence import store_form
from emolab.modalities.text.sentence_quality import QUALITY, measured
from emolab.modalities.text.text_model import TextModel
from tests.modalities.text.test_text_model import model

__all__ = ["model"]


@pytest.mark.parametrize(
    ("sentence", "told"),
    [
        ("so glad today", (3, 1.0, 0.0, 0.0)),
        ("SO GLAD", (2, 1.0, 1.0, 0.0)),
        ("Hi 12 !?", (3, 1 / 3, 0.5, 0.0)),
        ("[NAME] met [NAME] here", (4, 1.0, 0.0, 0.5)),
        ("[NAME][NUMBER]", (1, 0.0, 0.0, 1.0)),
        ("Ärger und ЯРОСТЬ", (3, 1.0, 7 / 14, 0.0)),
        ("😀 😀", (2, 0.0, 0.0, 0.0)),
        ("", (0, 0.0, 0.0, 0.0)),
    ],
)
def test_a_sentence_is_measured(sentence: str, told: tuple[float, ...]) -> None:
    found = measured([sentence], np.array([0.25], np.float32))
    assert found.shape == (1, len(QUALITY))
    assert found[0] == pytest.approx([*told, 0.25], abs=1e-6)


def test_words_that_training_hardly_had_are_unknown(model: TextModel) -> None:
    found = model.unknown(["glad furious w3", "glad xylophone quux w3", "xylophone", "", "GLAD!"])
    assert found[:4] == pytest.approx([0, 0.5, 1, 0])
    assert found[4] == pytest.approx(0.5)  # no training sentence had the sign
    media = [b"glad furious w3", b"\xff\xfe\x00"]
    assert model.quality_names == QUALITY
    assert model.quality(media)[0].tolist() == [3, pytest.approx(12 / 13), 0, 0, 0]
    assert model.quality(media)[1].tolist() == [0] * 5


def test_features_of_a_sentence_do_not_depend_on_those_beside_it(model: TextModel) -> None:
    texts = ["so glad w1 w2", "furious w3", "nothing known", "scared, so scared"]
    together = model.judged(texts)[1]
    assert together.shape == (4, projection.WIDTH)
    for text, row in zip(texts, together, strict=True):
        assert np.array_equal(model.judged([text])[1][0], row)
    assert np.linalg.norm(together[0]) == pytest.approx(np.sqrt(2), abs=0.35)  # words and letters have length 1 each


def test_a_model_works_its_id_out_once(model: TextModel, monkeypatch: pytest.MonkeyPatch) -> None:
    told = model.id
    monkeypatch.setattr(TextModel, "_weights", lambda _: pytest.fail("the weights were packed again"))
    assert model.id == told


def test_a_sentence_that_its_masks_make_too_long_is_refused_and_not_answered() -> None:
    sentence = "123 x " * 330
    assert len(sentence) < 2000
    with pytest.raises(Refused, match=r"characters with its masks, at most 2,000"):
        store_form(sentence)
    assert store_form(sentence, masking=False).text == sentence.strip()
