"""Probabilities of sentences mean what they say, sets hold all labels as often as stated, and labels stay as they were.

All on made-up sentences whose labels are drawn by chance, so that nothing can be sure of them.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from emolab.errors import DataError
from emolab.inference import uncertainty
from emolab.loop.model.judging.own_card import own_card
from emolab.modalities.text.learn import LearnedText, TextSettings, learn
from emolab.modalities.text.ngrams import NgramConfig
from emolab.modalities.text.text_calibration import cross_fitted
from emolab.modalities.text.text_model import TextModel, load
from emolab.stats import class_temperature, multilabel
from emolab.stats.sparse_logistic import sigmoid

CLASSES = ("joy", "anger", "fear", "disgust")
SETTINGS = TextSettings(ngrams=NgramConfig(bits=14, letters=(3, 4)), strength=0.05)
N, OTHERS = 700, 4000


def drawn(n: int, seed: int) -> tuple[list[str], np.ndarray]:
    """``n`` sentences, each with a word of one class and five of a hundred others, some of which hint at a class.

    Labels are drawn: the class of the word in six of ten sentences, else one by its share; a seventh has two.
    """
    rng = np.random.default_rng(seed)
    share, texts, truth = np.array([0.5, 0.3, 0.15, 0.05]), [], np.zeros((n, 4), bool)
    for i in range(n):
        told = int(rng.choice(4, p=share))
        applies = told if rng.random() < 0.6 else int(rng.choice(4, p=share))
        truth[i, applies] = True
        if rng.random() < 1 / 7:
            truth[i, rng.choice(4, p=share)] = True
        others = [f"w{v}" for v in rng.integers(0, 100, 4)] + [f"h{applies}x" if rng.random() < 0.1 else "h"]
        texts.append(" ".join([f"{CLASSES[told]}{rng.integers(0, 5)}", *others]))
    return texts, truth


@cache
def learned() -> LearnedText:
    texts, truth = drawn(N, 0)
    return learn(texts, truth.astype(np.float32), CLASSES, settings=SETTINGS)


@cache
def others() -> tuple[list[str], np.ndarray]:
    return drawn(OTHERS, 1)


def test_the_temperature_makes_probabilities_of_other_sentences_honest() -> None:
    model, (texts, truth) = learned().model, others()
    assert model.temperature is not None
    assert 0.2 < model.temperature < 0.9
    before, after = (
        multilabel.honesty(truth, probs) for probs in (sigmoid(model.logits(texts)), model.probabilities(texts))
    )
    assert after["log_loss"] < 0.98 * before["log_loss"]
    assert after["ece"] < 0.5 * before["ece"]
    stated = model.about["metrics"]["out_of_fold"]
    assert stated["before_temperature"]["log_loss"] == pytest.approx(before["log_loss"], rel=0.1)
    assert stated["log_loss"] == pytest.approx(after["log_loss"], rel=0.1)


def test_no_label_changes_through_it() -> None:
    learnt, (texts, _) = learned(), others()
    found = multilabel.best_thresholds(drawn(N, 0)[1], learnt.held_out)
    texts = [*texts, "", "ЖЖЖ", "joy1 anger1 fear1 disgust1", "disgust0 " * 5]
    uncalibrated = multilabel.labels(sigmoid(learnt.model.logits(texts)), found)
    assert np.array_equal(learnt.model.labels(learnt.model.probabilities(texts)), uncalibrated)
    assert not np.allclose(learnt.model.thresholds, found, atol=0.01)
    assert (uncalibrated.sum(axis=1) > 1).any()


def test_sets_hold_all_labels_of_other_sentences_as_often_as_stated() -> None:
    model, (texts, truth) = learned().model, others()
    assert model.conformal["n"] == N
    rows = uncertainty.check(model.conformal, model.probabilities(texts), truth)
    assert [row["coverage"] for row in rows] == list(uncertainty.COVERAGES)
    for row in rows:
        spread = np.sqrt(row["coverage"] * (1 - row["coverage"]) * (1 / N + 1 / OTHERS))  # of both samples, binomial
        assert abs(row["reached"] - row["coverage"]) < 3 * spread, row
    sizes = [row["size"] for row in rows]
    assert sizes == sorted(sizes)
    assert 1 <= sizes[0] < sizes[-1] < len(CLASSES)


def test_what_judges_out_of_fold_was_fitted_on_other_folds() -> None:
    _, truth = drawn(N, 0)
    logits, fold = multilabel.log_odds(learned().held_out), np.arange(N) % 5
    found = cross_fitted(logits, truth, None, fold)
    mine = fold == 3
    made = class_temperature.fit(logits[~mine], truth[~mine])
    assert np.array_equal(found[mine], made.probabilities(logits[mine]))
    turned = cross_fitted(logits, truth ^ mine[:, None], None, fold)
    assert np.array_equal(found[mine], turned[mine])


def test_it_is_kept_with_the_model_and_answers_in_one_pass_are_the_same(tmp_path: Path) -> None:
    model, texts = learned().model, others()[0][:50]
    made = model.save(tmp_path / "m")
    kept = load(tmp_path / "m")
    assert kept.id == model.id == made
    assert (kept.temperature, kept.conformal) == (model.temperature, model.conformal)
    assert np.array_equal(kept.probabilities(texts), model.probabilities(texts))
    assert np.array_equal(kept.judged(texts)[0], model.probabilities(texts))
    assert np.allclose(
        kept.before_temperature(kept.probabilities(texts)), sigmoid(kept.logits(texts)), rtol=1e-3, atol=1e-4
    )


def old(folder: Path) -> TextModel:
    """A model as an earlier emolab kept it, without a temperature."""
    learnt = learned()
    found = multilabel.best_thresholds(drawn(N, 0)[1], learnt.held_out)
    about = {**learnt.model.about, "metrics": {"out_of_fold": multilabel.summary(*_judged(learnt, found), CLASSES)}}
    model = replace(learnt.model, thresholds=found, calibration=None, about=about)
    model.save(folder)
    return model


def _judged(learnt: LearnedText, thresholds: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return drawn(N, 0)[1], multilabel.labels(learnt.held_out, thresholds), learnt.held_out


def test_a_model_without_a_temperature_is_read_as_before_and_says_so(tmp_path: Path) -> None:
    made = old(tmp_path / "m")
    document = json.loads((tmp_path / "m" / "model.json").read_text())
    assert document["format"] == "emolab-text-model/1"
    assert not {"temperature", "conformal"} & set(document)
    kept = load(tmp_path / "m")
    texts = others()[0][:50]
    assert kept.id == made.id
    assert (kept.temperature, kept.conformal) == (None, {})
    assert np.array_equal(kept.probabilities(texts), sigmoid(kept.logits(texts)))
    assert np.array_equal(kept.before_temperature(kept.probabilities(texts)), kept.probabilities(texts))
    assert np.array_equal(
        kept.labels(kept.probabilities(texts)), learned().model.labels(learned().model.probabilities(texts))
    )
    assert "No temperature was fitted, because an earlier emolab learned this model" in own_card(document)


def test_the_card_tells_the_temperature_and_what_it_changed(tmp_path: Path) -> None:
    learned().model.save(tmp_path / "m")
    card = own_card(json.loads((tmp_path / "m" / "model.json").read_text()))
    assert f"temperature {learned().model.temperature:.3f}, fitted on 700 sentences" in card
    assert "before), the calibration error of the likeliest class" in card
    assert "sets that hold all labels of a sentence in 80%, 90%, 95% of such sentences" in card


def test_too_few_sentences_fit_nothing_and_the_card_says_so(tmp_path: Path) -> None:
    texts, truth = drawn(90, 3)
    model = learn(texts, truth.astype(np.float32), CLASSES, settings=SETTINGS).model
    assert (model.temperature, model.conformal) == (1.0, {})
    model.save(tmp_path / "m")
    card = own_card(json.loads((tmp_path / "m" / "model.json").read_text()))
    assert "The temperature stays 1: 90 sentences were held out" in card
    assert "It states no sets of classes: fewer than 100 sentences" in card


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"temperature": None}, "temperature"),
        ({"temperature": {"value": -1, "rest": [0, 0, 0, 0], "n": 1}}, "does not fit its classes"),
        ({"temperature": {"value": 1, "rest": [0], "n": 1}}, "does not fit its classes"),
        ({"temperature": {"value": 1, "n": 1}}, "cannot be read"),
        ({"conformal": {"levels": {"0.9": 2}}}, "no number that can be"),
        ({"conformal": [1]}, "cannot be read"),
        ({"format": "emolab-text-model/1"}, "it has a temperature or has none"),
        ({"temperature": {"value": 0.9, "rest": [0, 0, 0, 0], "n": 1}}, "its id is not that of what it holds"),
    ],
)
def test_a_damaged_temperature_is_said(tmp_path: Path, changed: dict[str, object], message: str) -> None:
    learned().model.save(tmp_path / "m")
    file = tmp_path / "m" / "model.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changed}))
    with pytest.raises(DataError, match=message):
        load(tmp_path / "m")
