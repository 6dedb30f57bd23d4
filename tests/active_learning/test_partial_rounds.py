"""Rounds that a team leaves half-way: with the order they had and with one that is renewed."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from emolab.active_learning.simulation import partial_rounds
from emolab.active_learning.simulation.campaign import campaign
from emolab.active_learning.simulation.journal import Journal
from emolab.active_learning.simulation.partial_rounds import SHARES, verdicts
from emolab.active_learning.simulation.records import SimulatedRound, Stop
from emolab.active_learning.simulation.vote_costs import Votes
from tests.active_learning.test_simulate import FIELD, TERMS, frozen, timeless

RENEWED = replace(TERMS, budgets=(30.0, 60.0, 120.0), relearn=8)


def played(strategy: str = "margin", seed: int = 0) -> list[SimulatedRound]:
    return list(campaign(FIELD, RENEWED, strategy, seed, frozen(seed)))


def test_the_rounds_themselves_are_the_same_as_without() -> None:
    plain = list(campaign(FIELD, replace(RENEWED, relearn=0), "margin", 0, frozen(0)))
    assert timeless([replace(one, stops=[]) for one in played()]) == timeless(plain)
    assert not any(one.stops for one in plain)


def test_the_random_start_has_no_order_and_every_other_round_has_its_stops() -> None:
    first, *others = played()
    assert first.stops == []
    for one, before in zip(others, [first, *others], strict=False):
        assert [stop["share"] for stop in one.stops] == list(SHARES)
        votes = [stop["votes"] for stop in one.stops]
        assert votes == [before.votes + int(share * (one.votes - before.votes)) for share in SHARES]
        assert all(stop["fixed"].keys() == stop["relearned"].keys() == one.scores.keys() for stop in one.stops)


def test_an_order_renewed_after_the_round_is_over_is_the_fixed_one() -> None:
    late = list(campaign(FIELD, replace(RENEWED, relearn=1000), "margin", 0, frozen(0)))
    assert all(stop["fixed"] == stop["relearned"] for one in late for stop in one.stops)
    assert any(stop["fixed"] != stop["relearned"] for one in played() for stop in one.stops)


def test_several_votes_per_face_are_counted_as_votes() -> None:
    terms = replace(RENEWED, votes=Votes.parse("3"))
    first, second, *_ = campaign(FIELD, terms, "margin", 0, frozen(0))
    assert [stop["votes"] for stop in second.stops] == [
        first.votes + 3 * int(share * len(second.rows)) for share in SHARES
    ]


def test_stops_are_kept_in_the_journal(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.begin({})
    (one, *_) = played()[1:]
    journal.append(one)
    assert journal.rounds("margin", 0) == [one] and json.loads(json.dumps(asdict(one)))["stops"] == one.stops


def stopped(seed: int, number: int, fixed: float, relearned: float) -> SimulatedRound:
    (one, *_) = played()[1:]
    stop = Stop(
        share=0.5, votes=40,
        fixed={"accuracy": fixed, "macro_f1": fixed}, relearned={"accuracy": relearned, "macro_f1": relearned},
    )  # fmt: skip
    return replace(one, seed=seed, number=number, stops=[stop])


def test_gains_are_means_over_rounds_paired_by_seed() -> None:
    rounds = [stopped(0, 1, 0.5, 0.6), stopped(0, 2, 0.7, 0.6), stopped(1, 1, 0.4, 0.5), stopped(1, 2, 0.6, 0.7)]
    (found,) = verdicts(rounds)
    assert (found.strategy, found.share, found.seeds, found.rounds) == ("margin", 0.5, 2, 2)
    assert found.accuracy == pytest.approx(0.55) and found.gain == pytest.approx(0.05) == found.gain_f1
    error = np.std([0.0, 0.1], ddof=1) / np.sqrt(2)
    assert (found.low, found.high) == pytest.approx((0.05 - 1.96 * error, 0.05 + 1.96 * error))
    assert verdicts([replace(one, stops=[]) for one in rounds]) == []


def test_a_round_in_which_nobody_names_a_class_keeps_its_order(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise partial_rounds.DataError("nothing")

    monkeypatch.setattr(partial_rounds, "relearn", refuse)
    assert all(stop["fixed"] == stop["relearned"] for one in played() for stop in one.stops)
