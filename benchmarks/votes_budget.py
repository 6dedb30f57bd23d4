"""What the same number of votes teaches a model, spent on few faces with many votes or on many with few.

Faces of FER+ train are drawn at random, their votes become soft targets of a linear head on frozen features (128
principal components of MobileNetV2's, ImageNet weights, 96 pixels), and the head is judged by the official majority of
other faces. Near copies of those that judge are left out. The penalty is chosen by cross-validation within what is
learned from. Differences are of pairs: in one seed all ways begin with the same faces and hear the same first votes.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.dealing import COMPONENTS, Dealt, Floats, ask, deal, labels, out_of_fold
from benchmarks.ferplus import Faces, K, copies, faces
from benchmarks.harness import Result, main
from emolab.active_learning.simulation.frozen_trainer import principal
from emolab.stats import logistic
from emolab.stats.metrics import macro_f1
from emolab.votes.quota import parse

BUDGETS, FEW = (1_000, 3_000, 10_000, 30_000), (1_000,)
WAYS = ("1", "2", "3", "5", "1..3", "1..5", "1..5, head in the loop")
#: The ways that the others are compared with.
BASES = ("1..5", "1")
#: Faces of the training set that are held back to choose by.
CHOOSERS = 4_000


def run(quick: bool) -> list[Result]:
    """The table by FER+ valid; quick: a twentieth of the training faces and two seeds."""
    torch.set_num_threads(1)
    train, valid = faces("train", limit=1500 if quick else None), faces("valid", limit=600 if quick else None)
    return budget(train, valid, "FER+ valid", FEW if quick else BUDGETS, 2 if quick else 5)


def halves(train: Faces, n: int) -> tuple[Faces, Faces]:
    """Faces to learn from, and ``n`` drawn at random that are held back to choose by."""
    order = np.random.default_rng(0).permutation(len(train.votes))
    return train.take(np.sort(order[n:])), train.take(np.sort(order[:n]))


def budget(pool: Faces, judge: Faces, name: str, budgets: Iterable[int], seeds: int) -> list[Result]:
    """Accuracy and macro-F1 on ``judge`` of a head that learned from so many votes on ``pool``, in different ways."""
    mine, others = copies(pool, judge)
    pool = pool.take(np.flatnonzero(~np.isin(mine, others)))
    learn_from, judge_by = principal(pool.features, judge.features, COMPONENTS)
    judged = judge.majority >= 0
    truth = judge.majority[judged]
    found = []
    for spent in budgets:
        scores: dict[str, dict[int, tuple[float, float, float, float]]] = {}
        for seed in range(seeds):
            rng = np.random.default_rng(seed)
            order = rng.permutation(len(pool.votes))
            dealt, features = deal(pool.votes[order], rng), learn_from[order]
            for way in WAYS:
                given = spend(dealt, features, way, spent)
                if given is None:
                    continue
                n = len(given)
                targets, has = labels(dealt.first(n), given)
                model = logistic.solve(features[:n][has], targets[has], seed=seed)[0]
                guess = model.logits(judge_by[judged]).argmax(axis=1)
                figures = (float((guess == truth).mean()), macro_f1(truth, guess, K), float(n), float(given.sum()))
                scores.setdefault(way, {})[seed] = figures
        for row in told(f"{name}: {spent:,} votes", scores, len(truth)):
            print(row, file=sys.stderr, flush=True)
            found.append(row)
    return found


def spend(dealt: Dealt, features: Floats, way: str, spent: int) -> NDArray[np.int64] | None:
    """Votes of the first faces, so many that all of them together are ``spent``; ``None``: there are too few faces."""
    text, _, model = way.partition(",")
    wanted = parse(text)
    n = spent // wanted.low
    if not wanted.adaptive:
        return None if n > len(dealt.said) else np.full(n, wanted.low)

    def asked(n: int) -> tuple[NDArray[np.int64], int]:
        part = dealt.first(n)
        probs = out_of_fold(features[:n], part, np.full(n, wanted.low)) if model else None
        given = ask(part, wanted, probs=probs)
        return given, int(1.02 * spent / given.mean()) + 1

    _, n = asked(min(n, len(dealt.said)))  # what the policy asks depends on how many faces there are
    while n <= len(dealt.said):
        given, enough = asked(n)
        if given.sum() >= spent:
            return given[: int(np.searchsorted(np.cumsum(given), spent, side="right"))]
        n = max(n + 1, enough)
    return None


def told(name: str, scores: dict[str, dict[int, tuple[float, float, float, float]]], judged: int) -> Iterator[Result]:
    """Two rows for every way, from accuracy, macro-F1, faces and votes of every seed."""
    for way, by_seed in scores.items():
        columns = list(zip(*by_seed.values(), strict=True))
        for position, (figure, unit) in enumerate((("accuracy", "share"), ("macro-F1", ""))):
            apart = []
            for base in BASES:
                if base in scores and base != way:
                    pairs = [100 * (got[position] - scores[base][seed][position]) for seed, got in by_seed.items()]
                    error = statistics.stdev(pairs) / len(pairs) ** 0.5
                    apart.append(f"; {statistics.mean(pairs):+.2f} ± {error:.2f} points against {base}")
            yield Result(
                name=f"{name}, {way} per face: {figure}",
                value=statistics.mean(columns[position]),
                unit=unit,
                n=judged,
                seeds=len(by_seed),
                spread=(min(columns[position]), max(columns[position])),
                note=f"{statistics.mean(columns[2]):,.0f} faces, {statistics.mean(columns[3]):,.0f} votes"
                + "".join(apart),
            )


if __name__ == "__main__":
    main(run)
