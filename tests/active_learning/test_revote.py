"""Scores of re-labelling: what one more vote is worth, on one scale for labelled and unlabelled samples."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
from numpy.typing import NDArray

from emolab.active_learning.selection import revote
from emolab.active_learning.selection.revote import reason, scores
from emolab.errors import DataError
from emolab.records import VoteTable

CLASSES = ("neutral", "fear", "surprise")


def table(*rows: tuple[str, str, str], classes: tuple[str, ...] = CLASSES) -> VoteTable:
    """Votes given as (sample, annotator, class)."""
    samples, people = sorted({row[0] for row in rows}), sorted({row[1] for row in rows})
    return VoteTable(
        samples=samples,
        annotators=people,
        classes=classes,
        sample=np.array([samples.index(row[0]) for row in rows], dtype=np.int32),
        annotator=np.array([people.index(row[1]) for row in rows], dtype=np.int32),
        label=np.array([classes.index(row[2]) for row in rows], dtype=np.int16),
        weight=np.ones(len(rows), dtype=np.float32),
    )


def crowd(
    n: int, w: int, k: int, rng: np.random.Generator, *, share: float = 0.4
) -> tuple[VoteTable, NDArray[np.float64], NDArray[np.float64]]:
    """Votes of ``w`` people of falling skill, the same as a matrix with NaN, and a model's probabilities."""
    truth = rng.integers(0, k, n)
    matrix = np.full((n, w), np.nan)
    for j in range(w):
        right = rng.random(n) < 0.95 - 0.5 * j / w
        matrix[:, j] = np.where(right, truth, rng.integers(0, k, n))
    matrix[rng.random((n, w)) > share] = np.nan
    empty = np.isnan(matrix).all(axis=1)
    matrix[empty, 0] = truth[empty]
    sample, annotator = np.nonzero(~np.isnan(matrix))
    votes = VoteTable(
        samples=[f"s{i}" for i in range(n)],
        annotators=[f"a{j}" for j in range(w)],
        classes=tuple(f"c{c}" for c in range(k)),
        sample=sample.astype(np.int32),
        annotator=annotator.astype(np.int32),
        label=matrix[sample, annotator].astype(np.int16),
        weight=np.ones(len(sample), dtype=np.float32),
    )
    logits = rng.normal(size=(n, k)) + 2.0 * np.eye(k)[truth]
    probs = np.exp(logits)
    return votes, matrix, probs / probs.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("share", [0.15, 0.5, 0.9])
def test_scores_are_those_of_cleanlab_at_its_temperature(share: float) -> None:
    # Given, not looked for: cleanlab 2.9 counts votes that come as floats for the wrong classes when it looks for one.
    theirs = pytest.importorskip("cleanlab.multiannotator")
    rng = np.random.default_rng(7)
    votes, matrix, probs = crowd(400, 6, 5, rng, share=share)
    unlabelled = rng.dirichlet(np.ones(5), 200)
    wanted, wanted_new = theirs.get_active_learning_scores(matrix, probs, unlabelled)
    temperature = theirs.find_best_temp_scaler(matrix, probs)
    found, found_new = scores(votes, probs, unlabelled, temperature=temperature)
    assert np.allclose(found, 1 - wanted, atol=1e-4)
    assert np.allclose(found_new, 1 - wanted_new, atol=1e-4)


def test_scores_are_those_of_cleanlab_where_everybody_voted_alone() -> None:
    theirs = pytest.importorskip("cleanlab.multiannotator")
    rng = np.random.default_rng(3)
    votes, matrix, probs = crowd(100, 1, 4, rng, share=1.0)
    unlabelled = rng.dirichlet(np.ones(4), 50)
    wanted, wanted_new = theirs.get_active_learning_scores(matrix, probs, unlabelled)
    found, found_new = scores(votes, probs, unlabelled)
    assert np.allclose(found, 1 - wanted, atol=1e-6)
    assert np.allclose(found_new, 1 - wanted_new, atol=1e-6)


def test_the_temperature_found_explains_the_votes_better_than_cleanlabs_grid() -> None:
    theirs = pytest.importorskip("cleanlab.multiannotator")
    votes, matrix, probs = crowd(400, 6, 5, np.random.default_rng(7))
    sharp = probs**3 / (probs**3).sum(axis=1, keepdims=True)
    shares = revote.counts(votes) / revote.counts(votes).sum(axis=1, keepdims=True)

    def loss(temperature: float) -> float:
        return -float((shares * np.log(revote._softened(sharp, temperature))).sum(axis=1).mean())

    own = revote._temperature(revote.counts(votes), sharp)
    assert loss(own) <= loss(theirs.find_best_temp_scaler(matrix, sharp)) + 1e-6
    assert own > 1.5


def test_a_split_sample_deserves_a_vote_more_than_a_new_one_and_a_settled_one_less() -> None:
    clear = [(f"s{i}", who, CLASSES[i % 3]) for i in range(12) for who in ("ann", "bob", "cyd")]
    votes = table(*clear, ("split", "ann", "fear"), ("split", "bob", "surprise"))
    row = {sample: i for i, sample in enumerate(votes.samples)}
    probs = np.full((len(votes.samples), 3), 0.1)
    for sample, i in row.items():
        probs[i, int(sample[1:]) % 3 if sample != "split" else 1] = 0.8
    probs[row["split"]] = [0.2, 0.4, 0.4]
    found, new = scores(votes, probs, np.array([[0.1, 0.1, 0.8], [0.34, 0.33, 0.33]]), temperature=1.0)
    settled = [found[i] for sample, i in row.items() if sample != "split"]
    assert max(settled) < found[row["split"]]
    assert max(settled) < new[0] < new[1]
    assert found[row["split"]] > new[0]


def test_more_agreeing_votes_are_worth_less_of_another() -> None:
    votes = table(
        *[("one", "ann", "fear"), ("two", "ann", "fear"), ("two", "bob", "fear")],
        *[("three", who, "fear") for who in ("ann", "bob", "cyd")],
        *[(f"o{i}", who, "neutral") for i in range(4) for who in ("ann", "bob", "cyd")],
    )
    probs = np.tile([0.2, 0.7, 0.1], (len(votes.samples), 1))
    found, _ = scores(votes, probs, temperature=1.0)
    row = {sample: i for i, sample in enumerate(votes.samples)}
    assert found[row["one"]] > found[row["two"]] > found[row["three"]]


def test_a_guesser_weighs_less_than_those_who_agree() -> None:
    rng = np.random.default_rng(0)
    rows = [(f"s{i:02}", who, CLASSES[i % 3]) for i in range(30) for who in ("ann", "bob")]
    rows += [(f"s{i:02}", "guesser", CLASSES[rng.integers(3)]) for i in range(30)]
    votes = table(*rows, ("x", "ann", "fear"), ("y", "guesser", "fear"))
    found, _ = scores(votes, np.full((32, 3), 1 / 3), temperature=1.0)
    assert found[votes.samples.index("y")] > found[votes.samples.index("x")]


def test_without_a_model_people_alone_count() -> None:
    votes = table(
        *[(f"s{i}", who, CLASSES[i % 3]) for i in range(9) for who in ("ann", "bob")],
        *[("split", "ann", "fear"), ("split", "bob", "neutral")],
    )
    found, new = scores(votes, None, np.full((2, 3), np.nan))
    assert np.isfinite(found).all() and np.isnan(new).all()
    assert found.argmax() == votes.samples.index("split")
    half = np.full((len(votes.samples), 3), np.nan)
    half[0] = [0.8, 0.1, 0.1]
    mixed, _ = scores(votes, half)
    assert np.isfinite(mixed).all()


def test_one_vote_each_and_no_model_tell_nothing() -> None:
    found, _ = scores(table(("s", "ann", "fear"), ("t", "bob", "neutral")), None)
    assert np.isnan(found).all()


def test_counted_votes_are_that_many_people() -> None:
    several = table(
        *[("s", who, "fear") for who in ("ann", "bob", "cyd")], ("t", "ann", "fear"), ("t", "bob", "neutral")
    )
    counted = VoteTable(
        samples=["s", "t"],
        annotators=["dataset"],
        classes=CLASSES,
        sample=np.array([0, 1, 1], dtype=np.int32),
        annotator=np.zeros(3, dtype=np.int32),
        label=np.array([1, 1, 0], dtype=np.int16),
        weight=np.array([3, 1, 1], dtype=np.float32),
    )
    probs = np.array([[0.2, 0.6, 0.2], [0.2, 0.6, 0.2]])
    for votes in (several, counted):
        found, _ = scores(votes, probs, temperature=1.0)
        assert found[1] > found[0]


def test_no_labelled_sample_ranks_the_others_by_the_model() -> None:
    nobody = table()
    found, new = scores(nobody, np.empty((0, 3)), np.array([[0.9, 0.05, 0.05], [0.4, 0.3, 0.3]]))
    assert len(found) == 0 and new[1] > new[0]
    assert np.allclose(new, 1 - (np.array([0.9, 0.4]) + 1 / 3) / 2)


def test_what_does_not_fit_is_refused() -> None:
    votes = table(("s", "ann", "fear"))
    with pytest.raises(DataError, match=r"shape \(2, 3\); expected \(1, 3\)"):
        scores(votes, np.full((2, 3), 1 / 3))
    with pytest.raises(DataError, match="1 of 2 samples have no votes"):
        scores(VoteTable(**{**{f: getattr(votes, f) for f in votes.__slots__}, "samples": ["s", "t"]}), None)


@pytest.mark.parametrize(
    ("votes", "probs", "words"),
    [
        ([0, 2, 1], [0.1, 0.19, 0.71], "2 of 3 said fear, the model says surprise 71%"),
        ([0, 1, 0], [0.1, 0.2, 0.7], "the only vote says fear, the model says surprise 70%"),
        ([0, 1, 1], [0.5, 0.3, 0.2], "2 people are split between fear and surprise, the model says neutral 50%"),
        ([0, 3, 0], [0.3, 0.4, 0.3], "all 3 said fear, the model too, but only 40%"),
        ([0, 3, 0], None, "all 3 said fear"),
        ([0, 0, 0], [0.3, 0.4, 0.3], "nobody has said anything yet, the model says fear 40%"),
    ],
)
def test_the_reason_is_in_words(votes: list[int], probs: list[float] | None, words: str) -> None:
    row = None if probs is None else np.array(probs)
    assert reason(np.array(votes, dtype=float), row, CLASSES) == words


def test_examples_of_the_documentation_hold() -> None:
    assert doctest.testmod(revote, extraglobs={"np": np}).failed == 0
