"""One contract for every registered aggregator, and what sets each of them apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from emolab.errors import DataError
from emolab.labeling.labels.aggregators import AggregatorOptions, dawid_skene, hybrid
from emolab.plugins import AGGREGATORS
from emolab.records import VoteTable
from emolab.votes.table import answers, counts, crowds, with_votes

CLASSES = ("neutral", "joy", "fear")
Row = tuple[str, str, str] | tuple[str, str, str, float]


def votes(rows: Sequence[Row], *, samples: Sequence[str] = (), classes: Sequence[str] = CLASSES) -> VoteTable:
    """A table of (sample, annotator, class[, people]) rows; further ``samples`` have no votes."""
    ids = sorted({row[0] for row in rows} | set(samples))
    people = sorted({row[1] for row in rows})
    row_of, number_of = {s: i for i, s in enumerate(ids)}, {a: i for i, a in enumerate(people)}
    return VoteTable(
        samples=ids,
        annotators=people,
        classes=tuple(classes),
        sample=np.array([row_of[row[0]] for row in rows], dtype=np.int32),
        annotator=np.array([number_of[row[1]] for row in rows], dtype=np.int32),
        label=np.array([list(classes).index(row[2]) for row in rows], dtype=np.int16),
        weight=np.array([row[3] if len(row) > 3 else 1.0 for row in rows], dtype=np.float32),
    )


def distributions(table: VoteTable, method: str) -> Mapping[str, NDArray[np.float32]]:
    probs = AGGREGATORS.load(method)(table, AggregatorOptions())
    assert probs.shape == (len(table.samples), len(table.classes))
    assert probs.dtype == np.float32
    assert np.isfinite(probs).all() and (probs >= 0).all()
    np.testing.assert_allclose(probs.sum(axis=1), 1, atol=1e-5)
    return dict(zip(table.samples, probs, strict=True))


def team(seed: int, n: int = 400, *, careless: int = 0, biased: int = 0, good: int = 4) -> tuple[VoteTable, list[int]]:
    """Votes of everybody on n samples: good annotators are right in 80 %, biased ones say neutral in half of cases."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, n)
    rows: list[Row] = []
    for i in range(n):
        for a in range(good + careless + biased):
            said = truth[i] if rng.random() < 0.8 else rng.integers(0, 3)
            if a >= good and (a >= good + biased or rng.random() < 0.7):
                said = rng.integers(0, 3) if a >= good + biased else 0
            rows.append((f"s{i:04d}", f"a{a}", CLASSES[said]))
    return votes(rows), truth.tolist()


@pytest.fixture(params=AGGREGATORS.names())
def method(request: pytest.FixtureRequest) -> str:
    """Every registered aggregator in turn."""
    return str(request.param)


def test_agreement_of_all_wins(method: str) -> None:
    found = distributions(votes([("x", "ann", "joy"), ("x", "bob", "joy"), ("y", "ann", "fear")]), method)
    assert CLASSES[found["x"].argmax()] == "joy"
    assert CLASSES[found["y"].argmax()] == "fear"


def test_a_sample_without_votes_is_uniform(method: str) -> None:
    found = distributions(votes([("x", "ann", "joy"), ("z", "ann", "joy")], samples=["y"]), method)
    np.testing.assert_allclose(found["y"], 1 / 3, atol=1e-6)


def test_no_votes_no_samples_no_annotators(method: str) -> None:
    assert distributions(votes([]), method) == {}
    assert set(distributions(votes([], samples=["x"]), method)) == {"x"}


def test_one_class(method: str) -> None:
    found = distributions(votes([("x", "ann", "joy"), ("y", "bob", "joy")], classes=["joy"]), method)
    assert found["x"].tolist() == [1.0]


def test_one_annotator_is_believed(method: str) -> None:
    rows: list[Row] = [(f"s{i}", "ann", CLASSES[i % 3]) for i in range(30)]
    found = distributions(votes(rows), method)
    assert [CLASSES[found[row[0]].argmax()] for row in rows] == [row[2] for row in rows]


def test_an_annotator_with_one_vote_neither_breaks_nor_decides(method: str) -> None:
    rows: list[Row] = [(f"s{i}", name, CLASSES[i % 3]) for i in range(30) for name in ("ann", "bob")]
    found = distributions(votes([*rows, ("s1", "new", "fear")]), method)
    assert CLASSES[found["s1"].argmax()] == "joy"


def test_the_order_of_votes_does_not_change_a_bit(method: str) -> None:
    table, _ = team(1, careless=1, biased=1)
    order = np.random.default_rng(0).permutation(len(table.sample))
    mixed = replace(
        table,
        sample=table.sample[order],
        annotator=table.annotator[order],
        label=table.label[order],
        weight=table.weight[order],
    )
    run = AGGREGATORS.load(method)
    assert np.array_equal(run(table, AggregatorOptions()), run(mixed, AggregatorOptions()))
    assert np.array_equal(run(table, AggregatorOptions()), run(table, AggregatorOptions()))


def test_counted_votes_are_as_many_opinions(method: str) -> None:
    """FER+ publishes counts: ten people are one annotator's name in the ledger, and still ten opinions."""
    crowd: list[Row] = []
    for i in range(60):
        crowd += [(f"s{i}", "ferplus", CLASSES[i % 3], 7.0), (f"s{i}", "ferplus", CLASSES[(i + 1) % 3], 3.0)]
    found = distributions(votes(crowd), method)
    for i in range(60):
        assert found[f"s{i}"].argmax() == i % 3
    if method in ("soft", "hybrid"):
        assert found["s0"][0] == pytest.approx(0.7, abs=0.05)
        assert found["s0"][1] == pytest.approx(0.3, abs=0.05)
    against_one = distributions(votes([*crowd, ("s0", "ann", "fear")]), method)
    assert against_one["s0"].argmax() == 0


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(["x", "y", "z", "u"]),
            st.sampled_from(["ann", "bob", "cho"]),
            st.sampled_from(CLASSES),
            st.sampled_from([1.0, 2.0, 10.0]),
        ),
        max_size=25,
    )
)
def test_any_votes_make_distributions(rows: list[Row]) -> None:
    for name in AGGREGATORS.names():
        distributions(votes(rows, samples=["x", "y"]), name)


def test_majority_shares_a_tie() -> None:
    found = distributions(votes([("x", "ann", "joy"), ("x", "bob", "fear")]), "majority")
    assert found["x"].tolist() == [0.0, 0.5, 0.5]


def test_soft_keeps_disagreement_and_doubts_a_single_vote() -> None:
    table = votes([("x", "ann", "joy"), ("x", "bob", "fear"), ("x", "cho", "joy"), ("y", "ann", "fear")])
    found = distributions(table, "soft")
    assert found["x"][1] > found["x"][2] > 0.25
    assert 0.5 < found["y"][2] < 0.95


@pytest.mark.parametrize("name", ["dawid_skene", "hybrid"])
def test_careless_and_biased_annotators_are_outvoted_by_fewer_good_ones(name: str) -> None:
    right: dict[str, list[float]] = {"majority": [], name: []}
    for seed in range(5):
        table, truth = team(seed, good=3, biased=3, careless=1)
        for each, shares in right.items():
            hard = AGGREGATORS.load(each)(table, AggregatorOptions()).argmax(axis=1)
            shares.append(float(np.mean(hard == truth)))
    assert np.mean(right[name]) > np.mean(right["majority"]) + 0.05


def test_hybrid_is_soft_voting_in_an_even_team() -> None:
    table, _ = team(0, n=3000, good=5)
    fitted = dawid_skene.fit(answers(table), 3)
    assert hybrid.difference(answers(table), fitted) < 0.01
    soft = AGGREGATORS.load("soft")(table, AggregatorOptions())
    mixed = AGGREGATORS.load("hybrid")(table, AggregatorOptions())
    assert np.abs(soft - mixed).mean() < 0.02


def test_hybrid_sees_that_annotators_differ() -> None:
    table, _ = team(0, n=3000, good=3, biased=2)
    fitted = dawid_skene.fit(answers(table), 3)
    assert hybrid.difference(answers(table), fitted) > 0.05
    rated = hybrid.reliability(fitted)
    assert rated[:3].min() > rated[3:].max()


def test_dawid_skene_learns_the_confusion_of_a_biased_annotator() -> None:
    table, _ = team(2, n=2000, good=4, biased=1)
    confusion = dawid_skene.fit(answers(table), 3).confusion[4]
    assert (confusion[1:, 0] > 0.5).all()
    np.testing.assert_allclose(confusion.sum(axis=1), 1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*:Warning:crowdkit")
@pytest.mark.parametrize("seed", range(3))
def test_dawid_skene_agrees_with_crowd_kit(seed: int) -> None:
    aggregation = pytest.importorskip("crowdkit.aggregation", reason="crowd-kit is not installed")
    pandas = pytest.importorskip("pandas")
    table, _ = team(seed, n=1000, good=4, biased=2, careless=1)
    frame = pandas.DataFrame(
        {
            "task": [table.samples[i] for i in table.sample],
            "worker": [table.annotators[i] for i in table.annotator],
            "label": [table.classes[i] for i in table.label],
        }
    )
    peer = aggregation.DawidSkene(n_iter=50).fit_predict(frame)
    ours = AGGREGATORS.load("dawid_skene")(table, AggregatorOptions()).argmax(axis=1)
    same = [CLASSES[c] == peer[sample] for sample, c in zip(table.samples, ours, strict=True)]
    assert np.mean(same) > 0.99


def test_crowds_are_recognised_by_several_votes_on_one_sample() -> None:
    table = votes([("x", "ann", "joy"), ("x", "ferplus", "joy", 6.0), ("y", "raw", "joy"), ("y", "raw", "fear")])
    assert dict(zip(table.annotators, crowds(table).tolist(), strict=True)) == {
        "ann": False,
        "ferplus": True,
        "raw": True,
    }


def test_with_votes_drops_samples_below_the_minimum_and_keeps_rows_in_step() -> None:
    table = votes([("x", "ann", "joy"), ("y", "ann", "fear"), ("y", "bob", "joy")], samples=["z"])
    assert with_votes(table, 0).samples == ["x", "y"]
    kept = with_votes(table, 2)
    assert kept.samples == ["y"]
    assert counts(kept).tolist() == [[0.0, 1.0, 1.0]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": np.array([3], dtype=np.int16)}, "A vote points at class 3, but there are only 3."),
        ({"sample": np.array([7], dtype=np.int32)}, "A vote points at sample 7, but there are only 1."),
        ({"weight": np.array([0], dtype=np.float32)}, "A vote has a weight that is not positive"),
        ({"weight": np.array([np.nan], dtype=np.float32)}, "A vote has a weight that is not positive"),
    ],
)
def test_broken_tables_are_refused(change: dict[str, NDArray[np.generic]], message: str) -> None:
    table = replace(votes([("x", "ann", "joy")]), **change)
    with pytest.raises(DataError, match=message):
        answers(table)
