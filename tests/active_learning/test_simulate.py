"""Simulated campaigns: paired, paid for to the last vote, and the same however often they were stopped."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from emolab.active_learning.simulation.campaign import campaign, check, everything
from emolab.active_learning.simulation.frozen_trainer import Frozen, principal
from emolab.active_learning.simulation.journal import Journal
from emolab.active_learning.simulation.oracle import ABSENT, NOTHING, deal
from emolab.active_learning.simulation.records import CampaignData, SimulatedModel, SimulatedRound, Terms
from emolab.active_learning.simulation.simulate import Stage, play, simulate
from emolab.active_learning.simulation.vote_costs import Votes
from emolab.errors import ConfigError, DataError, UnknownName
from emolab.labeling.labels.aggregators import AggregatorOptions

CLASSES = ("anger", "fear", "sadness")


def blobs(n: int, *, seed: int = 0, wide: float = 1.2) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """n points (n, 6) around three centres, and which."""
    rng = np.random.default_rng(seed)
    truth = rng.permutation(np.arange(n) % 3)
    centres = 2.0 * np.eye(3, 6)
    return centres[truth] + wide * rng.normal(size=(n, 6)), truth


def crowd(truth: NDArray[np.int64], *, people: int = 10, seed: int = 0) -> NDArray[np.int64]:
    """Votes (n, 3) of people of whom about 70 % see the truth."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(people, 0.15 + 0.55 * np.eye(3)[truth]).astype(np.int64)


POINTS, TRUTH = blobs(300)
JUDGE, JUDGE_TRUTH = blobs(200, seed=1)
FIELD = CampaignData(
    samples=[f"{i:04d}" for i in range(300)],
    classes=CLASSES,
    votes=crowd(TRUTH),
    skips=np.zeros(300, dtype=np.int64),
)
TERMS = Terms(budgets=(30.0, 60.0, 120.0, 200.0), votes=Votes.parse("1"))


def frozen(seed: int) -> Frozen:
    return Frozen(POINTS, JUDGE, JUDGE_TRUTH, CLASSES, seed=seed)


def played(
    strategy: str,
    seed: int = 0,
    *,
    terms: Terms = TERMS,
    field: CampaignData = FIELD,
    done: Sequence[SimulatedRound] = (),
) -> list[SimulatedRound]:
    return list(campaign(field, terms, strategy, seed, frozen(seed), done=done))


def timeless(rounds: list[SimulatedRound]) -> list[SimulatedRound]:
    return [replace(one, select_s=0.0, train_s=0.0) for one in rounds]


# -- answers -------------------------------------------------------------------------------------------------------


def test_counted_people_answer_once_each() -> None:
    votes = np.array([[3, 1, 0], [0, 0, 2]])
    deck = deal(votes, np.array([0, 2]), most=4, oracle="counted", rng=np.random.default_rng(0))
    assert sorted(deck.label[0].tolist()) == [0, 0, 0, 1]
    assert sorted(deck.label[1].tolist()) == [NOTHING, NOTHING, 2, 2]
    assert (deck.annotator == -1).all()


def test_the_first_counted_answer_follows_the_votes() -> None:
    votes = np.tile([7, 2, 0], (4000, 1))
    deck = deal(votes, np.ones(4000, dtype=int), most=1, oracle="counted", rng=np.random.default_rng(1))
    shares = [(deck.label == c).mean() for c in (0, 1, 2, NOTHING)]
    assert shares == pytest.approx([0.7, 0.2, 0.0, 0.1], abs=0.025)


def test_shares_never_run_out_and_follow_the_votes() -> None:
    votes = np.tile([3, 1, 0], (500, 1))
    deck = deal(votes, np.zeros(500, dtype=int), most=20, oracle="shares", rng=np.random.default_rng(2))
    assert [(deck.label == c).mean() for c in range(3)] == pytest.approx([0.75, 0.25, 0.0], abs=0.02)


def test_a_team_answers_by_its_own_confusions_and_nobody_twice() -> None:
    truth = np.arange(3000) % 3
    deck = deal(np.eye(3, dtype=int)[truth], np.zeros(3000, int), most=12, oracle="team", rng=np.random.default_rng(3))
    assert np.sort(deck.annotator, axis=1).tolist() == [list(range(12))] * 3000
    right = deck.label == truth[:, None]
    each = np.array([right[deck.annotator == person].mean() for person in range(12)])
    assert 0.65 < right.mean() < 0.95
    assert each.max() - each.min() > 0.1, "annotators should differ"


def test_people_who_run_out_are_an_error_that_names_the_way_out() -> None:
    with pytest.raises(DataError, match=r"Up to 4 votes per sample .* 1 of 2 samples have fewer") as got:
        deal(np.array([[3, 0], [4, 0]]), np.zeros(2, int), most=4, oracle="counted", rng=np.random.default_rng(0))
    assert "--oracle shares" in str(got.value)
    with pytest.raises(DataError, match="1 of 2 samples have no vote"):
        deal(np.array([[3, 0], [0, 0]]), np.zeros(2, int), most=1, oracle="shares", rng=np.random.default_rng(0))
    with pytest.raises(UnknownName, match='Unknown oracle "crowd"'):
        deal(np.eye(2, dtype=int), np.zeros(2, int), most=1, oracle="crowd", rng=np.random.default_rng(0))


def test_known_people_answer_by_name_nobody_twice_and_who_gives_no_answer_is_passed_over() -> None:
    said = np.tile(np.array([0, 1, ABSENT, NOTHING, 1], dtype=np.int16), (400, 1))
    votes, skips = np.tile(np.array([1, 2]), (400, 1)), np.ones(400, dtype=np.int64)
    deck = deal(votes, skips, most=4, oracle="people", rng=np.random.default_rng(4), said=said)
    assert np.array_equal(deck.label, np.take_along_axis(said, deck.annotator.astype(np.int64), axis=1))
    assert (np.sort(deck.annotator, axis=1) == [0, 1, 3, 4]).all()
    assert set(np.bincount(deck.annotator[:, 0], minlength=5) > 50) == {True, False}  # every order comes about
    with pytest.raises(DataError, match="on some only 4 people give an answer"):
        deal(votes, skips, most=5, oracle="people", rng=np.random.default_rng(4), said=said)
    with pytest.raises(DataError, match="does not tell who gave which vote"):
        deal(votes, skips, most=2, oracle="people", rng=np.random.default_rng(4))


# -- how many answers ----------------------------------------------------------------------------------------------


def test_prices_make_the_first_answer_dearer_and_have_to_be_some() -> None:
    votes = Votes.parse("1..5", (1.0, 0.4))
    assert votes.cost(np.array([0, 1, 3])).tolist() == pytest.approx([0.0, 1.0, 1.8])
    assert (votes.low, votes.high, votes.least) == (1, 5, 1.0)
    for price in ((0.0, 1.0), (1.0, -1.0), (float("nan"), 1.0), (1.0, float("inf"))):
        with pytest.raises(ConfigError, match="expected positive numbers"):
            Votes.parse("3", price)


def test_doubtful_samples_are_asked_about_again_and_clear_ones_are_not() -> None:
    clear = np.arange(300) < 200
    votes = np.where(clear[:, None], 10 * np.eye(3, dtype=int)[TRUTH], [4, 3, 3])
    field = replace(FIELD, votes=votes)
    rounds = played("random", field=field, terms=replace(TERMS, votes=Votes.parse("2..5")))
    given = {row: answers for one in rounds for row, answers in zip(one.rows, one.answers, strict=True)}
    sure = np.mean([answers for row, answers in given.items() if clear[row]])
    torn = np.mean([answers for row, answers in given.items() if not clear[row]])
    assert torn > sure + 0.5
    assert set(given.values()) <= {2, 3, 4, 5}


# -- a campaign ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["random", "margin", "coreset", "entropy"])
def test_fixed_votes_are_spent_to_the_last_one(strategy: str) -> None:
    rounds = played(strategy)
    assert [one.votes for one in rounds] == [30, 60, 120, 200]
    assert [one.cost for one in rounds] == [30.0, 60.0, 120.0, 200.0]
    assert [one.samples for one in rounds] == [30, 60, 120, 200]
    asked = [row for one in rounds for row in one.rows]
    assert len(asked) == len(set(asked)) == 200
    three = played(strategy, terms=replace(TERMS, votes=Votes.parse("3")))
    assert [one.votes for one in three] == [30, 60, 120, 198], "200 votes buy 66 samples of three"
    assert [one.samples for one in three] == [10, 20, 40, 66]


def test_adaptive_votes_are_counted_one_by_one_and_never_beyond_the_budget() -> None:
    terms = replace(TERMS, votes=Votes.parse("1..5", (1.0, 0.5)))
    rounds = played("margin", terms=terms)
    total = {}
    for one, budget in zip(rounds, terms.budgets, strict=True):
        total.update(zip(one.rows, one.answers, strict=True))
        assert one.votes == sum(total.values())
        assert one.samples == len(total)
        assert one.cost == pytest.approx(sum(1.0 + 0.5 * (answers - 1) for answers in total.values()))
        assert one.cost <= budget
    assert terms.budgets[-1] - rounds[-1].cost < 0.25 * terms.budgets[-1]
    assert set(total.values()) > {2, 3}, "some samples should need more answers than others"


def test_campaigns_of_a_seed_share_first_samples_answers_and_first_model() -> None:
    random, margin, coreset = (played(name, 5) for name in ("random", "margin", "coreset"))
    first = replace(timeless(random)[0], strategy="")
    assert all(replace(timeless(other)[0], strategy="") == first for other in (margin, coreset))
    assert random[1].rows != margin[1].rows != coreset[1].rows
    assert played("random", 6)[0].rows != random[0].rows


def test_a_sample_gets_the_same_answers_whoever_asks_and_whenever() -> None:
    heard: dict[str, dict[int, list[float]]] = {}
    for strategy in ("random", "margin"):
        heard[strategy] = {}

        class Listening(Frozen):
            def __call__(self, rows: NDArray[np.int64], targets: NDArray[np.floating]) -> SimulatedModel:
                heard[strategy].update(zip(rows.tolist(), targets.tolist(), strict=True))  # noqa: B023
                return super().__call__(rows, targets)

        trainer = Listening(POINTS, JUDGE, JUDGE_TRUTH, CLASSES, seed=0)
        list(campaign(FIELD, replace(TERMS, aggregator="majority"), strategy, 0, trainer))
    both = heard["random"].keys() & heard["margin"].keys()
    assert len(both) > 50
    assert all(heard["random"][row] == heard["margin"][row] for row in both)


def test_excluded_samples_and_second_copies_are_never_asked_about() -> None:
    excluded = np.arange(300) < 50
    duplicate = np.arange(300)
    duplicate[200:300] = np.arange(100, 200)
    field = replace(FIELD, excluded=excluded, duplicate=duplicate)
    terms = replace(TERMS, budgets=(30.0, 150.0))
    asked = [row for one in played("margin", field=field, terms=terms) for row in one.rows]
    assert min(asked) >= 50
    assert len(np.unique(duplicate[asked])) == len(asked) == 150


def test_answers_that_name_no_class_cost_and_teach_nothing() -> None:
    silent = replace(FIELD, skips=np.where(np.arange(300) % 2, 90, 0))
    rounds = played("random", field=silent)
    taught: list[int] = []

    class Counting(Frozen):
        def __call__(self, rows: NDArray[np.int64], targets: NDArray[np.floating]) -> SimulatedModel:
            taught.append(len(rows))
            return super().__call__(rows, targets)

    list(campaign(silent, TERMS, "random", 0, Counting(POINTS, JUDGE, JUDGE_TRUTH, CLASSES, seed=0)))
    assert [one.votes for one in rounds] == [30, 60, 120, 200]
    assert all(40 < 100 * n / one.votes < 75 for n, one in zip(taught, rounds, strict=True))


def test_a_pool_that_runs_out_ends_the_campaign_and_a_budget_beyond_it_is_an_error() -> None:
    with pytest.raises(DataError, match=r"The budget is 400, but the pool has 300 samples: 300 for 1 vote each") as got:
        check(FIELD, replace(TERMS, budgets=(30.0, 400.0)))
    assert "--budget 300" in str(got.value)
    with pytest.raises(DataError, match="name 1 of 3 classes"):
        check(replace(FIELD, votes=np.tile([5, 0, 0], (300, 1))), TERMS)
    with pytest.raises(DataError, match="have to rise"):
        check(FIELD, replace(TERMS, budgets=(60.0, 30.0)))
    rounds = played("random", terms=replace(TERMS, budgets=(30.0, 290.0, 320.0, 400.0)))
    assert [one.samples for one in rounds] == [30, 290, 300]


@pytest.mark.parametrize("votes", ["3", "1..3"])
def test_what_pays_for_nobody_goes_to_the_next_round(votes: str) -> None:
    terms = replace(TERMS, budgets=(30.0, 31.0, 32.0, 33.0, 60.0), votes=Votes.parse(votes))
    rounds = played("margin", terms=terms)
    assert [one.number for one in rounds] == [0, 1, 2, 3, 4], "a campaign goes on to the last budget"
    assert all(one.cost <= budget for one, budget in zip(rounds, terms.budgets, strict=True))
    assert rounds[-1].cost >= 58
    if votes == "3":
        assert [len(one.rows) for one in rounds] == [10, 0, 0, 1, 9]
        assert rounds[1].scores == rounds[0].scores
        assert played("margin", terms=terms, done=rounds[:3])[0].rows == rounds[3].rows


def test_a_start_that_pays_for_nobody_is_an_error() -> None:
    with pytest.raises(DataError, match="The first samples may cost 2, but a single one costs 3"):
        check(FIELD, replace(TERMS, budgets=(2.0, 60.0), votes=Votes.parse("3")))


def test_people_who_run_out_are_missed_before_a_campaign_begins() -> None:
    with pytest.raises(DataError, match="300 of 300 samples have fewer"):
        check(FIELD, replace(TERMS, votes=Votes.parse("11")))
    with pytest.raises(DataError, match="the simulated team has 12 members"):
        check(FIELD, replace(TERMS, votes=Votes.parse("13"), oracle="team"))


def test_the_penalty_is_chosen_on_the_first_samples_alone() -> None:
    settled: list[int] = []

    class Watching(Frozen):
        def settle(self, rows: NDArray[np.int64], targets: NDArray[np.floating]) -> None:
            settled.append(len(rows))
            super().settle(rows, targets)

    trainer = Watching(POINTS, JUDGE, JUDGE_TRUTH, CLASSES, seed=0)
    list(campaign(FIELD, TERMS, "margin", 0, trainer))
    assert settled == [30]


def test_options_reach_the_aggregator() -> None:
    peaks = []
    for prior in (0.0, 3.0):

        class Looking(Frozen):
            def settle(self, rows: NDArray[np.int64], targets: NDArray[np.floating]) -> None:
                peaks.append(float(targets.max(axis=1).mean()))
                super().settle(rows, targets)

        terms = replace(TERMS, aggregator="soft", options=AggregatorOptions(prior=prior), budgets=(30.0,))
        list(campaign(FIELD, terms, "random", 0, Looking(POINTS, JUDGE, JUDGE_TRUTH, CLASSES, seed=0)))
    assert peaks[0] == 1.0
    assert peaks[1] < 0.7


def test_labelling_everything_is_the_ceiling() -> None:
    whole = everything(FIELD, TERMS, 0, frozen(0))
    assert (whole.samples, whole.votes) == (300, 300)
    assert whole.scores["accuracy"] >= played("random")[0].scores["accuracy"]


def test_principal_components_look_at_the_pool_alone() -> None:
    rng = np.random.default_rng(0)
    pool, other = rng.normal(size=(60, 20)) * np.arange(1, 21), rng.normal(size=(10, 20))
    mine, theirs = principal(pool, other, 5)
    assert mine.shape == (60, 5)
    assert np.abs(mine.mean(axis=0)).max() < 1e-4
    assert np.linalg.svd(pool - pool.mean(axis=0))[1][:5] == pytest.approx(np.linalg.norm(mine, axis=0), rel=1e-4)
    assert principal(pool, 100 * other, 5)[0].tolist() == mine.tolist()
    assert theirs.shape == (10, 5)
    assert principal(pool, other, 50)[0].shape == (60, 20)


# -- journal and processes -----------------------------------------------------------------------------------------


def stage(_: Path) -> Stage:
    return Stage(FIELD, TERMS, frozen)


def test_a_simulation_stopped_anywhere_goes_on_with_the_same_result(tmp_path: Path) -> None:
    Journal(tmp_path).begin({"data": "blobs"})
    whole = timeless(play(tmp_path, stage(tmp_path), "margin", 3))
    file = tmp_path / "rounds" / "margin-3.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    for kept in (b"", lines[0][:40], lines[0], b"".join(lines[:2]) + lines[2][:-1], b"".join(lines)):
        file.write_bytes(kept)
        assert timeless(play(tmp_path, stage(tmp_path), "margin", 3)) == whole
        assert timeless(Journal(tmp_path).rounds("margin", 3)) == whole
    assert [json.loads(line)["number"] for line in file.read_text().splitlines()] == [0, 1, 2, 3]


@pytest.mark.slow
def test_two_processes_find_what_one_finds(tmp_path: Path) -> None:
    found = []
    for jobs in (1, 2):
        folder = tmp_path / str(jobs)
        Journal(folder).begin({})
        found.append(timeless(simulate(folder, stage, ["random", "margin"], [0, 1], jobs=jobs)))
    assert found[0] == found[1]
    assert [(one.strategy, one.seed, one.number) for one in found[0]][::4] == [
        ("random", 0, 0), ("random", 1, 0), ("margin", 0, 0), ("margin", 1, 0),
    ]  # fmt: skip


def test_a_folder_keeps_one_simulation(tmp_path: Path) -> None:
    Journal(tmp_path).begin({"votes": "1", "oracle": "counted"})
    Journal(tmp_path).begin({"votes": "1", "oracle": "counted"})
    with pytest.raises(DataError, match="holds a simulation that differs in oracle and votes") as got:
        Journal(tmp_path).begin({"votes": "3", "oracle": "shares"})
    assert "--out" in str(got.value)
