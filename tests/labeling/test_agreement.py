"""Agreement: alpha with its interval, classes, annotators."""

from __future__ import annotations

import math

import numpy as np
import pytest

from emolab.labeling.labels import agreement
from emolab.votes.table import counts
from tests.labeling.test_aggregators import Row, team, votes

LITTLE: list[Row] = [
    ("x", "ann", "joy"), ("x", "bob", "joy"), ("x", "cho", "fear"),
    ("y", "ann", "fear"), ("y", "bob", "fear"),
    ("z", "ann", "neutral"), ("z", "bob", "joy"),
    ("u", "cho", "joy"),
]  # fmt: skip


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize("kind", ["few", "weighted", "wide"])
def test_patterns_of_votes_are_told_apart_as_rows_are(kind: str) -> None:
    table = rng().integers(0, 4, (300, 40 if kind == "wide" else 3)).astype(float)
    table = np.vstack([table, table[:50]]) / (2 if kind == "weighted" else 1)
    patterns, repeats = agreement._distinct(table)
    expected, times = np.unique(table, axis=0, return_counts=True)
    assert np.array_equal(patterns, expected) and np.array_equal(repeats, times) and repeats.max() > 1


def test_alpha_is_the_published_one() -> None:
    krippendorff = pytest.importorskip("krippendorff", reason="krippendorff is not installed")
    for table in (votes(LITTLE), team(3, careless=1)[0]):
        pairable = counts(table)[counts(table).sum(axis=1) >= 2]
        wanted = krippendorff.alpha(value_counts=pairable.astype(int), level_of_measurement="nominal")
        assert agreement.alpha(table, rng()).value == pytest.approx(wanted)


def test_alpha_of_perfect_agreement_and_of_chance() -> None:
    perfect: list[Row] = [(f"s{i}", who, ("joy", "fear")[i % 2]) for i in range(20) for who in ("ann", "bob")]
    assert agreement.alpha(votes(perfect), rng()).value == 1.0
    guessed = agreement.alpha(team(0, n=2000, good=0, careless=3)[0], rng())
    assert guessed.low < 0 < guessed.high


def test_the_interval_covers_the_value_of_the_population() -> None:
    population = agreement.alpha(team(99, n=10_000, good=3)[0], rng()).value
    covered = 0
    for seed in range(25):
        found = agreement.alpha(team(seed, n=100, good=3)[0], rng(), draws=300)
        assert found.low < found.value < found.high
        covered += found.low <= population <= found.high
    assert covered >= 20


def test_alpha_is_undefined_without_pairs_or_with_one_class_only() -> None:
    alone = agreement.alpha(votes([("x", "ann", "joy"), ("y", "bob", "fear")]), rng())
    assert math.isnan(alone.value) and alone.pairable == 0
    same = agreement.alpha(votes([("x", "ann", "joy"), ("x", "bob", "joy")]), rng())
    assert math.isnan(same.value) and math.isnan(same.low) and same.pairable == 1


def test_by_class_tells_what_the_other_one_says() -> None:
    found = {each.name: each for each in agreement.by_class(votes(LITTLE))}
    assert found["fear"].votes == 3
    # The others of ann's and bob's fear on y say fear; the others of cho's fear on x say joy.
    assert found["fear"].agreement == pytest.approx(2 / 3)
    assert (found["fear"].confused_with, found["fear"].confused) == ("joy", pytest.approx(1 / 3))
    assert (found["neutral"].agreement, found["neutral"].confused_with) == (0.0, "joy")


def test_by_annotator_leaves_the_own_vote_out() -> None:
    found = {each.name: each for each in agreement.by_annotator(votes(LITTLE))}
    # cho: on x both others say joy where cho says fear; u has nobody else.
    assert (found["cho"].votes, found["cho"].shared, found["cho"].agreement) == (2, 1, 0.0)
    assert found["cho"].habit == ("joy", "fear", pytest.approx(1.0))
    # ann: half of the others on x, all on y, none on z.
    assert found["ann"].agreement == pytest.approx((0.5 + 1 + 0) / 3)
    assert found["ann"].confusion.sum() == pytest.approx(3)


def test_a_careless_annotator_stands_out() -> None:
    found = agreement.by_annotator(team(1, good=4, careless=1)[0])
    assert found[-1].agreement < min(each.agreement for each in found[:-1]) - 0.2


def test_counted_votes_agree_with_one_another() -> None:
    table = votes([("x", "ferplus", "joy", 7.0), ("x", "ferplus", "fear", 3.0)])
    (only,) = agreement.by_annotator(table)
    assert (only.votes, only.shared) == (10, 10)
    assert only.agreement == pytest.approx((7 * 6 + 3 * 2) / (10 * 9))


def test_no_votes_at_all() -> None:
    table = votes([])
    assert agreement.by_annotator(table) == []
    assert [each.votes for each in agreement.by_class(table)] == [0, 0, 0]
