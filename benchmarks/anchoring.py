"""Votes of people who saw the model's guess: is the pull estimated honestly, and does correcting it help the labels?

Data: the published FER+ vote distributions are taken as the truth; simulated annotators draw votes from them, as in
`benchmarks.aggregation` (teams of twelve, honest or mixed). Half of the forms show a guess. Who sees one takes it over
with a probability of their own, of 0.15 or 0.4 on average over the team, or else looks at the face. "unclear": they do
so the more, the less clear the face is. Models name the most voted class of FER+ in 88 % (good), 69 % (middling) or
40 % (poor) of the faces; their errors lie where faces are unclear.

"coverage": how often the 95 % interval of the team's pull, and of each person's, holds the truth. "KL" and "top1" as in
`benchmarks.aggregation`, of `hybrid` where no aggregator is named. "gained": what `labeling.anchoring = correct` has
over `ignore`, on all faces, shown and blind; the last rows are over all cases with a pull.
Without the data pack the truth is drawn from a Dirichlet instead.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.aggregation import CLASSES, TEAM, Floats, divergence, simulate, team, top1, truth
from benchmarks.harness import Result, main
from emolab.labeling.labels import anchored_votes
from emolab.labeling.labels.aggregators import DEFAULTS
from emolab.plugins import AGGREGATORS
from emolab.records import GuessedAnswer, VoteTable
from emolab.votes import anchoring

NOISE = {"good": 0.5, "middling": 1.0, "poor": 2.0}
PULLS: Mapping[str, float] = {"no pull": 0.0, "pull 0.15": 0.15, "pull 0.4": 0.4, "pull 0.4, unclear": 0.4}
TEAMS = (("honest", 3), ("mixed", 3), ("mixed", 5))
#: The default first; the others in one row each.
METHODS = ("hybrid", "soft", "dawid_skene", "majority")
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Scores = tuple[float, float, float, float]


def guess_of(probs: Floats, noise: float, rng: np.random.Generator) -> Ints:
    """A model's class for every face (n,): the truth, blurred by ``noise``."""
    return np.asarray((np.log(probs + 0.02) + noise * rng.gumbel(size=probs.shape)).argmax(axis=1))


def pulled(
    votes: VoteTable, guess: Ints, shown: Bools, adoption: Floats, rng: np.random.Generator
) -> tuple[VoteTable, list[GuessedAnswer]]:
    """``votes`` by people who saw ``guess`` (n,) where ``shown`` (n,), and what emolab's catalog would tell of them.

    ``adoption`` (m,): the probability of each vote to be the guess unseen.
    """
    here = guess[votes.sample]
    taken = shown[votes.sample] & (rng.random(len(here)) < adoption)
    said = np.where(taken, here, votes.label)
    columns = (votes.sample, votes.annotator, said, here, shown[votes.sample])
    guessed = [
        GuessedAnswer(votes.samples[i], votes.annotators[w], CLASSES[c], CLASSES[g], shown=bool(s))
        for i, w, c, g, s in zip(*(column.tolist() for column in columns), strict=True)
    ]
    return replace(votes, label=said.astype(np.int16)), guessed


def habits(pull: str, rng: np.random.Generator) -> Floats:
    """How readily each member of a team takes a guess over (12,)."""
    mean = PULLS[pull]
    return rng.beta(4 * mean, 4 * (1 - mean), TEAM) if mean else np.zeros(TEAM)


def of_votes(pull: str, habit: Floats, votes: VoteTable, probs: Floats) -> Floats:
    """The probability of each vote (m,) to be the guess unseen."""
    if "unclear" not in pull:
        return habit[votes.annotator]
    doubt = 1 - probs.max(axis=1)
    return np.asarray(np.clip(habit[votes.annotator] * doubt[votes.sample] / doubt.mean(), 0, 1))


def coverage(quick: bool) -> list[Result]:
    """How often the intervals hold the truth, for teams that answer few faces."""
    probs, source = truth(4000 if quick else None)
    runs, found = (40 if quick else 200), []
    for faces in (40, 150):
        held: dict[str, list[bool]] = {"team": [], "person": []}
        for seed in range(runs):
            rng = np.random.default_rng(seed)
            some = probs[rng.permutation(len(probs))[:faces]]
            members, habit = team("mixed", rng), habits("pull 0.4", rng)
            votes = simulate(some, members, TEAM, rng)
            guess, shown = guess_of(some, 1.0, rng), rng.random(faces) < 0.5
            _, guessed = pulled(votes, guess, shown, habit[votes.annotator], rng)
            everybody = guess_of(probs, 1.0, np.random.default_rng(10_000 + seed))
            alone = np.einsum("ns,wsn->wn", probs, members[:, :, everybody]).mean(axis=1)
            pulls = habit * (1 - alone)
            one = anchoring.of_team(guessed)
            held["team"].append(bool(one.low <= pulls.mean() <= one.high))
            for each in anchoring.by_annotator(guessed):
                held["person"].append(bool(each.low <= pulls[int(str(each.annotator)[1:])] <= each.high))
        found += [
            Result(f"coverage of the {who}'s interval, {faces} faces", statistics.mean(kept), "share", n=len(kept),
                   seeds=runs, note=f"{source}; nominal 0.95")
            for who, kept in held.items()
        ]  # fmt: skip
    return found


def correction(quick: bool) -> list[Result]:
    """What correcting gains over ignoring, for good and poor models, by pull and team."""
    probs, source = truth(2000 if quick else 8000)
    seeds = 2 if quick else 5
    found: list[Result] = []
    gained: dict[tuple[str, str], list[float]] = {}
    for model, noise in NOISE.items():
        for pull in PULLS:
            for kind, each in TEAMS:
                scores: dict[str, list[Scores]] = {method: [] for method in METHODS}
                for seed in range(seeds):
                    rng = np.random.default_rng(seed)
                    votes = simulate(probs, team(kind, rng), each, rng)
                    guess, shown, habit = guess_of(probs, noise, rng), rng.random(len(probs)) < 0.5, habits(pull, rng)
                    votes, guessed = pulled(votes, guess, shown, of_votes(pull, habit, votes, probs), rng)
                    for method, score in both_ways(votes, guessed, probs).items():
                        scores[method].append(score)
                for method, rows in scores.items():
                    row = gain(f"{model} model, {pull}, {kind} team, {each} votes", rows, source, len(probs))
                    if method == METHODS[0] and PULLS[pull]:
                        found.append(row)
                    group = method if PULLS[pull] else f"{method} without a pull"
                    gained.setdefault((group, "KL"), []).append(row.value)
                    gained.setdefault((group, "top1"), []).append(statistics.mean(s[3] - s[2] for s in rows))
    return found + [
        Result(f"{group}: {figure} gained", round(statistics.mean(values), 5), "nats" if figure == "KL" else "share",
               n=len(values), seeds=seeds, spread=(round(min(values), 5), round(max(values), 5)),
               note="mean and spread over the cases")
        for (group, figure), values in sorted(gained.items())
        if group.removesuffix(" without a pull") == group or group.startswith(METHODS[0])
    ]  # fmt: skip


def both_ways(votes: VoteTable, guessed: list[GuessedAnswer], probs: Floats) -> dict[str, Scores]:
    """By method: the divergence of the labels, ignoring and correcting, and their share of best classes, likewise."""
    weights = anchored_votes.weights(votes, guessed)
    tables = (votes, votes if weights is None else replace(votes, weight=weights))
    found = {}
    for method in METHODS:
        made = [np.asarray(AGGREGATORS.load(method)(table, DEFAULTS), dtype=np.float64) for table in tables]
        found[method] = (*(divergence(one, probs) for one in made), *(top1(one, probs) for one in made))
    return found  # type: ignore[return-value]


def gain(case: str, scores: list[Scores], source: str, n: int) -> Result:
    """The divergence that correcting takes away in one case, with its spread over seeds."""
    kl_before, kl_after, top_before, top_after = (statistics.mean(column) for column in zip(*scores, strict=True))
    less = [round(s[0] - s[1], 5) for s in scores]
    note = f"KL {kl_before:.3f} to {kl_after:.3f}, top1 {top_before:.3f} to {top_after:.3f}; {source}"
    return Result(f"{case}: KL gained", round(statistics.mean(less), 5), "nats", n=n, seeds=len(scores),
                  spread=(min(less), max(less)), note=note)  # fmt: skip


def run(quick: bool) -> list[Result]:
    """The intervals first, then the labels."""
    return [*coverage(quick), *correction(quick)]


if __name__ == "__main__":
    main(run)
