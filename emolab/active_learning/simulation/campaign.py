"""One labelling campaign replayed: choose, ask, learn, be judged, until the votes are spent."""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from emolab.active_learning.selection.draws import bootstrap_draws
from emolab.active_learning.selection.pool import Pool
from emolab.active_learning.selection.select import select
from emolab.active_learning.simulation import partial_rounds
from emolab.active_learning.simulation.oracle import NOTHING, deal, possible
from emolab.active_learning.simulation.records import CampaignData, SimulatedModel, SimulatedRound, Terms, Trainer
from emolab.active_learning.simulation.vote_costs import Votes
from emolab.active_learning.strategies import needed
from emolab.errors import DataError
from emolab.plugins import AGGREGATORS, STRATEGIES
from emolab.records import VoteTable
from emolab.votes.sufficiency import ONE_MORE, decide

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows = NDArray[np.int64]
    Floats = NDArray[np.floating[Any]]

#: The name of the campaign that labels the whole pool.
EVERYTHING = "everything"
#: What sums of prices may be wrong by.
ROUNDING = 1e-9


def check(field: CampaignData, terms: Terms) -> None:
    """Raise :class:`DataError` when the campaign cannot be: one class, too few people, or a budget of no use."""
    shown = int((field.votes.sum(axis=0) > 0).sum())
    if shown < 2:
        raise DataError(f"The votes name {shown} of {len(field.classes)} classes; a campaign needs two or more.")
    possible(field.votes, field.skips, most=terms.votes.high, oracle=terms.oracle, said=field.said)
    if not terms.budgets or terms.budgets[0] <= 0 or (np.diff(terms.budgets) <= 0).any():
        raise DataError("The budgets of the rounds have to rise from above 0.")
    if terms.budgets[0] < terms.votes.least:
        raise DataError(
            f"The first samples may cost {terms.budgets[0]:g}, but a single one costs {terms.votes.least:g}.",
            hint="Begin with more: --start VOTES",
        )
    whole = worth(field, terms.votes)
    if terms.budgets[-1] > whole:
        free = round(whole / terms.votes.least)
        each = "1 vote each" if terms.votes.low == 1 else f"{terms.votes.low} votes each"
        raise DataError(
            f"The budget is {terms.budgets[-1]:,.0f}, but the pool has {free:,} samples: {whole:,.0f} for {each}.",
            hint=f"Use --budget {int(whole)} or less.",
        )


def worth(field: CampaignData, votes: Votes) -> float:
    """What asking about every sample of ``field`` costs at least."""
    return len(_pool(field, np.zeros(len(field.samples), dtype=np.int64)).candidates) * votes.least


def campaign(
    field: CampaignData,
    terms: Terms,
    strategy: str,
    seed: int,
    trainer: Trainer,
    *,
    done: Sequence[SimulatedRound] = (),
) -> Iterator[SimulatedRound]:
    """Play ``strategy`` from ``seed``, one :class:`SimulatedRound` at a time, going on after the rounds ``done``.

    First samples, answers and the trainer's seed depend on ``seed`` alone, so campaigns of different strategies are
    paired. Each round chooses about as many samples as its budget pays for and asks as many people about each as
    everybody gets; then, while there are votes left, about the doubtful ones once more, best first, and so on. What
    is left over goes to the next round, all of it where a round does not pay for a single sample. Ends early when
    nobody is left.
    """
    state = CampaignState(field, terms, strategy, seed, trainer)
    for past in done:
        state.repeat(past)
    for number in range(len(done), len(terms.budgets)):
        played = state.turn(number)
        if played is None:
            return
        yield played


def everything(field: CampaignData, terms: Terms, seed: int, trainer: Trainer) -> SimulatedRound:
    """What the trainer, settled on the same first samples, learns when every sample is asked about ``low`` times."""
    state = CampaignState(field, terms, EVERYTHING, seed, trainer)
    state.ask(0)
    began = time.process_time()
    state.given[_pool(field, np.zeros_like(state.given)).candidates] = terms.votes.low
    state.learn()
    return state.record(0, state.nobody, state.nobody, began, began)


class CampaignState:
    """What changes in a campaign: ``given`` (n,) answers so far and the model ``trained`` on them."""

    nobody = np.empty(0, dtype=np.int64)

    def __init__(self, field: CampaignData, terms: Terms, strategy: str, seed: int, trainer: Trainer) -> None:
        self.field, self.terms, self.strategy, self.seed, self.trainer = field, terms, strategy, seed, trainer
        self.deck = deal(
            field.votes,
            field.skips,
            most=terms.votes.high,
            oracle=terms.oracle,
            rng=_rng(seed, 0, "answers"),
            said=field.said,
        )
        self.given = np.zeros(len(field.samples), dtype=np.int64)
        self.trained: SimulatedModel | None = None
        self.told: Floats | None = None

    def repeat(self, past: SimulatedRound) -> None:
        """Take over a round that was played before."""
        self.given[past.rows] = past.answers
        if not past.number:
            self.trainer.settle(*self.labels())

    def turn(self, number: int) -> SimulatedRound | None:
        """Play round ``number``; ``None`` when there is nobody left to ask about."""
        if not len(_pool(self.field, self.given).candidates):
            return None
        if number and self.trained is None:
            self.learn()
        began = time.process_time()
        rows, answers = self.ask(number)
        chosen = time.process_time()
        stops = partial_rounds.stops(self, rows, answers) if number and self.terms.relearn else []
        if len(rows):
            self.learn()
        return replace(self.record(number, rows, answers, began, chosen), stops=stops)

    def ask(self, number: int) -> tuple[Rows, Rows]:
        """Choose and ask: rows (m,) and how many answers each was given; none where the rest buys no vote."""
        name = self.strategy if number else "random"
        votes, pool = self.terms.votes, _pool(self.field, self.given, self.trained, self.told)
        left = self.terms.budgets[number] - float(votes.cost(self.given).sum())
        asked = self.given[self.given > 0]
        usual = asked if len(asked) else np.array([votes.low, votes.high], dtype=np.int64)
        if left < votes.least - ROUNDING:
            return self.nobody, self.nobody
        n = min(max(1, int(left / float(votes.cost(usual).mean()) + ROUNDING)), len(pool.candidates))
        rng = _rng(self.seed, number, name)
        if pool.targets is not None and "draws" in needed(STRATEGIES.load(name)):
            pool = replace(pool, draws=bootstrap_draws(pool, rng))
        rows = select(pool, n, strategy=name, rng=rng).rows
        self.given[rows] = votes.low
        for answers in range(votes.low, votes.high):
            doubtful = self.doubtful(rows[self.given[rows] == answers], pool)
            left = self.terms.budgets[number] - float(votes.cost(self.given).sum())
            paid = len(doubtful) if not votes.price[1] else int((left + ROUNDING) / votes.price[1])
            self.given[doubtful[:paid]] += 1
        if not number:
            self.trainer.settle(*self.labels())
        return rows, self.given[rows]

    def learn(self) -> None:
        """Train on everything known."""
        rows, targets = self.labels()
        told = np.full((len(self.given), len(self.field.classes)), np.nan)
        told[rows] = targets
        self.trained, self.told = self.trainer(rows, targets), told

    def doubtful(self, rows: Rows, pool: Pool) -> Rows:
        """Those of the new ``rows``, in order, of which it is not sure what a crowd would say.

        The model has not learned from the answers to them; of the samples it has learned from it is not asked.
        """
        if not len(rows):
            return rows
        asked, table = self.ledger()
        probs = None
        if pool.probs is not None:
            probs = np.full((len(asked), len(self.field.classes)), np.nan)
            new = ~pool.labelled[asked]
            probs[new] = pool.probs[asked[new]]
        votes = self.terms.votes
        found = decide(table, wanted=votes.wanted, sure=votes.sure, probs=probs, people=self.given[asked])
        again: Rows = rows[found.state[np.searchsorted(asked, rows)] == ONE_MORE]
        return again

    def ledger(self) -> tuple[Rows, VoteTable]:
        """Rows (m,) that were asked about, rising, and every vote for a class on them."""
        asked = np.flatnonzero(self.given)
        label, annotator = self.deck.label[asked], self.deck.annotator[asked]
        told = (np.arange(label.shape[1]) < self.given[asked, None]) & (label != NOTHING)
        people = int(self.deck.annotator.max(initial=-1)) + 1
        return asked, VoteTable(
            samples=[self.field.samples[row] for row in asked.tolist()],
            annotators=["crowd", *(f"annotator {number + 1}" for number in range(people))],
            classes=self.field.classes,
            sample=np.nonzero(told)[0].astype(np.int32),
            annotator=(annotator[told] + 1).astype(np.int32),
            label=label[told],
            weight=np.ones(int(told.sum()), dtype=np.float32),
        )

    def labels(self) -> tuple[Rows, Floats]:
        """Rows (m,) with a vote for some class, and their distributions (m, k) by the aggregator."""
        asked, table = self.ledger()
        known = np.unique(table.sample)
        if not len(known):
            raise DataError("Nobody named a class for any of the first samples.", hint="Begin with more: --start VOTES")
        aggregate, options = AGGREGATORS.load(self.terms.aggregator), self.terms.options
        return asked[known], (aggregate(table) if options is None else aggregate(table, options))[known]

    def record(self, number: int, rows: Rows, answers: Rows, began: float, chosen: float) -> SimulatedRound:
        """The record of a round that was just played; times are in CPU seconds."""
        if self.trained is None:
            raise RuntimeError("a round is over before anything was learned")
        opinions = self.field.votes[rows] / np.maximum(self.field.votes[rows].sum(axis=1, keepdims=True), 1)
        return SimulatedRound(
            strategy=self.strategy,
            seed=self.seed,
            number=number,
            rows=rows.tolist(),
            answers=answers.tolist(),
            cost=float(self.terms.votes.cost(self.given).sum()),
            votes=int(self.given.sum()),
            samples=int((self.given > 0).sum()),
            scores={score: float(value) for score, value in self.trained.scores.items()},
            composition=opinions.sum(axis=0).tolist(),
            doubt=float(1 - opinions.max(axis=1).mean()) if len(rows) else 0.0,
            select_s=chosen - began,
            train_s=time.process_time() - chosen,
        )


def _pool(field: CampaignData, given: Rows, trained: SimulatedModel | None = None, told: Floats | None = None) -> Pool:
    return Pool(
        samples=field.samples,
        labelled=given > 0,
        pending=np.zeros(len(given), dtype=bool),
        excluded=field.excluded,
        duplicate=field.duplicate,
        votes=given.astype(np.int32),
        group=field.group,
        probs=None if trained is None else trained.probs,
        embeddings=None if trained is None else trained.embeddings,
        targets=told,
        classes=field.classes,
    )


def _rng(seed: int, number: int, purpose: str) -> np.random.Generator:
    return np.random.default_rng([seed, number, zlib.crc32(purpose.encode())])
