"""How many votes per face: how close to the ten people of FER+, and what the same number of votes teaches a model.

The ten real votes of every face are dealt in a random order, "unknown" and "not a face" with them, to a team of ten
nicknames; the first ones count. Two tables:

agreement
    FER+ valid, all 3,579 faces are voted on; judged are the 3,191 with an official majority of the ten: how many get
    it as their label (by the default aggregator; a face most people call unlabelable has none), and the mean number of
    votes, of those judged and of all. "1..5" is the policy of ``labeling.votes``; the model is a linear head on frozen
    features, out of fold, that learns from the votes so far, or the bundled face48. Settings of the policy were chosen
    on FER+ train (``--settings`` prints those figures).
budget
    the same number of votes of FER+ train, spent on few faces with many votes or on many with few: accuracy and
    macro-F1 on FER+ valid (official majority) of a linear head on frozen features. Training faces whose pixels occur
    in valid are left out. Features are the first 128 principal components of MobileNetV2's, ImageNet weights, 96
    pixels; the penalty of each cell is chosen by cross-validation in its first seed.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.ferplus import CLASSES, Faces, K, faces
from benchmarks.harness import Result, main
from emolab.active_learning.frozen import principal
from emolab.config import LabelingConfig
from emolab.enough.decide import ONE_MORE, decide
from emolab.enough.wanted import Wanted, parse
from emolab.labeling.aggregators import DEFAULTS
from emolab.logistic import head
from emolab.metrics import macro_f1
from emolab.records import VoteTable
from emolab.registry import AGGREGATORS

PEOPLE = 10
BUDGETS = (1_000, 3_000, 10_000, 30_000)
COMPONENTS = 128
SURE = LabelingConfig().sure
Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Dealt:
    """Votes in the order they come: ``said`` (n, 10) columns of FER+ (-1: no more) by the nicknames ``who`` (n, 10)."""

    said: NDArray[np.int64]
    who: NDArray[np.int64]

    def first(self, rows: NDArray[np.int64]) -> Dealt:
        """Those of some faces."""
        return Dealt(self.said[rows], self.who[rows])


def deal(votes: NDArray[np.int64], rng: np.random.Generator) -> Dealt:
    """The ten ``votes`` (n, 10 counts) of every face in a random order."""
    n = len(votes)
    said = np.full((n, PEOPLE), -1)
    for row, counts in enumerate(votes):
        one = np.repeat(np.arange(len(counts)), counts)[:PEOPLE]
        said[row, : len(one)] = rng.permutation(one)
    return Dealt(said, rng.permuted(np.tile(np.arange(PEOPLE), (n, 1)), axis=1))


def table(dealt: Dealt, given: NDArray[np.int64], *, meta: bool) -> VoteTable:
    """The first ``given`` (n,) votes of each face; all that is no class is a ninth one if ``meta``, else left out."""
    here = (np.arange(PEOPLE) < given[:, None]) & (dealt.said >= 0)
    if not meta:
        here &= dealt.said < K
    sample, place = np.nonzero(here)
    return VoteTable(
        samples=[f"{row}" for row in range(len(dealt.said))],
        annotators=[f"p{person}" for person in range(PEOPLE)],
        classes=(*CLASSES, "none") if meta else CLASSES,
        sample=sample.astype(np.int32),
        annotator=dealt.who[sample, place].astype(np.int32),
        label=np.minimum(dealt.said[sample, place], K).astype(np.int16),
        weight=np.ones(len(sample), dtype=np.float32),
    )


def ask(dealt: Dealt, wanted: Wanted, *, probs: Floats | None = None, sure: float = SURE) -> NDArray[np.int64]:
    """How many votes (n,) each face has when the policy asks for no more."""
    given = np.full(len(dealt.said), wanted.low)
    while wanted.adaptive:
        made, has = labels(dealt, given)
        label = np.where(has, made.argmax(axis=1), K)
        votes = table(dealt, given, meta=True)
        found = decide(votes, wanted=wanted, sure=sure, probs=probs, people=given, labels=label)
        more = found.state == ONE_MORE
        if not more.any():
            break
        given = given + more
    return given


def labels(dealt: Dealt, given: NDArray[np.int64], aggregator: str = "hybrid") -> tuple[Floats, NDArray[np.bool_]]:
    """Label distributions (n, 8), and which faces (n,) have one: fewer than half of the people call it unlabelable."""
    votes = table(dealt, given, meta=False)
    found = np.asarray(AGGREGATORS.load(aggregator)(votes, DEFAULTS), dtype=np.float64)
    people = np.bincount(votes.sample, minlength=len(given))
    return found, 2 * people > given


def out_of_fold(features: Floats, dealt: Dealt, given: NDArray[np.int64], penalty: float) -> Floats:
    """What a linear head says (n, 8) of faces it has not learned from; it learns from the votes so far."""
    targets, has = labels(dealt, given)
    found = np.empty_like(targets)
    for part in head.folds(targets.argmax(axis=1), 5, seed=0):
        rows = np.setdiff1d(np.flatnonzero(has), part)
        found[part] = _solved(features[rows], targets[rows], penalty).probabilities(features[part])
    return found


def chosen(features: Floats, dealt: Dealt, given: NDArray[np.int64]) -> float:
    """The penalty that cross-validation finds for a head on these votes."""
    targets, has = labels(dealt, given)
    return head.choose(head.Problem(features[has], targets[has]), seed=0)[0].penalty


def _solved(features: Floats, targets: Floats, penalty: float) -> head.Solution:
    problem = head.Problem(features, targets)
    return problem.fold_back(problem.solve(penalty, tolerance=1e-4), penalty)


# ---------------------------------------------------------------------------------------------------------- agreement


def agreement(found: Faces, name: str, seeds: int) -> list[Result]:
    """Agreement with the official majority against votes per face, for fixed numbers and for the policy."""
    judged = found.majority >= 0
    features = principal(found.features, found.features[:0], COMPONENTS)[0]
    scores: dict[str, list[tuple[float, float, float]]] = {}

    def note(label: str, dealt: Dealt, given: NDArray[np.int64], aggregator: str = "hybrid") -> None:
        made, has = labels(dealt, given, aggregator)
        top = (made == made.max(axis=1, keepdims=True)) & has[:, None]
        right = top[judged, found.majority[judged]] / np.maximum(top[judged].sum(axis=1), 1)
        scores.setdefault(label, []).append((float(right.mean()), float(given[judged].mean()), float(given.mean())))

    penalties: dict[int, float] = {}
    for seed in range(seeds):
        dealt = deal(found.votes, np.random.default_rng(seed))
        for fixed in (1, 2, 3, 4, 5, 7):
            given = np.full(len(found.votes), fixed)
            note(f"{fixed} each, majority", dealt, given, "majority")
            note(f"{fixed} each", dealt, given)
        note("2, then until two agree, up to 5", dealt, until_two_agree(dealt))
        for text in ("1..3", "1..5", "2..5", "1..7"):
            wanted = parse(text)
            given = np.full(len(found.votes), wanted.low)
            if wanted.low not in penalties:
                penalties[wanted.low] = chosen(features, dealt, given)
            head_says = out_of_fold(features, dealt, given, penalties[wanted.low])
            note(text, dealt, ask(dealt, wanted))
            note(f"{text}, head in the loop", dealt, ask(dealt, wanted, probs=head_says))
            if found.probs is not None:
                note(f"{text}, face48", dealt, ask(dealt, wanted, probs=found.probs))
    return [
        Result(
            name=f"{name}: {label}",
            value=statistics.mean(each[0] for each in values),
            unit="agree",
            n=int(judged.sum()),
            seeds=seeds,
            spread=(min(each[0] for each in values), max(each[0] for each in values)),
            note=f"{statistics.mean(each[1] for each in values):.2f} votes per face judged, "
            f"{statistics.mean(each[2] for each in values):.2f} of all {len(found.votes):,}",
        )
        for label, values in scores.items()
    ]


def until_two_agree(dealt: Dealt) -> NDArray[np.int64]:
    """The rule of thumb beside the policy: two votes, then one more until two agree, five at most."""
    given = np.full(len(dealt.said), 2)
    for _ in range(3):
        votes = table(dealt, given, meta=True)
        cells = np.zeros((len(given), K + 1))
        np.add.at(cells, (votes.sample, votes.label), 1)
        given = given + (cells.max(axis=1) < 2)
    return given


# ------------------------------------------------------------------------------------------------------------- budget


def budget(train: Faces, valid: Faces, budgets: Iterable[int], seeds: int) -> list[Result]:
    """Accuracy and macro-F1 of a head that learned from so many votes, spent in different ways."""
    seen = {row.tobytes() for row in valid.features}
    free = np.array([row.tobytes() not in seen for row in train.features])
    learn_from, judge_by = principal(train.features[free], valid.features, COMPONENTS)
    votes = train.votes[free]
    judged = valid.majority >= 0
    truth = valid.majority[judged]
    found = []
    for spent in budgets:
        scores: dict[str, list[tuple[float, float, float, float]]] = {}
        penalties: dict[str, float] = {}
        for seed in range(seeds):
            rng = np.random.default_rng(seed)
            order = rng.permutation(len(votes))
            dealt, features = deal(votes[order], rng), learn_from[order]
            for way in ("1", "2", "3", "5", "1..3", "1..5", "1..5, head in the loop"):
                given = spend(dealt, features, way, spent, penalties.get("1..5", 0.1))
                if given is None:
                    continue
                n = len(given)
                part = dealt.first(np.arange(n))
                if way not in penalties:
                    penalties[way] = chosen(features[:n], part, given)
                targets, has = labels(part, given)
                solved = _solved(features[:n][has], targets[has], penalties[way])
                guess = solved.logits(judge_by[judged]).argmax(axis=1)
                figures = (float((guess == truth).mean()), macro_f1(truth, guess, K), float(n), float(given.sum()))
                scores.setdefault(way, []).append(figures)
        for way, values in scores.items():
            columns = list(zip(*values, strict=True))
            for position, figure in enumerate(("accuracy", "macro-F1")):
                found.append(
                    Result(
                        name=f"{spent:,} votes, {way} per face: {figure}",
                        value=statistics.mean(columns[position]),
                        unit="share" if position == 0 else "",
                        n=len(truth),
                        seeds=seeds,
                        spread=(min(columns[position]), max(columns[position])),
                        note=f"{statistics.mean(columns[2]):,.0f} faces, {statistics.mean(columns[3]):,.0f} votes",
                    )
                )
                print(found[-1], file=sys.stderr, flush=True)
    return found


def spend(dealt: Dealt, features: Floats, way: str, spent: int, penalty: float) -> NDArray[np.int64] | None:
    """Votes of the first faces, so many that all of them together are ``spent``; ``None``: there are too few faces."""
    text, _, model = way.partition(",")
    wanted = parse(text)
    n = spent // wanted.low
    if not wanted.adaptive:
        return None if n > len(dealt.said) else np.full(n, wanted.low)
    for _ in range(2):  # the second time with about as many faces as it will be
        n = min(n, len(dealt.said))
        part = dealt.first(np.arange(n))
        probs = out_of_fold(features[:n], part, np.full(n, wanted.low), penalty) if model else None
        given = ask(part, wanted, probs=probs)
        n = int(1.02 * spent / given.mean()) + 1
    total = np.cumsum(given)
    return given[: int(np.searchsorted(total, spent, side="right"))] if total[-1] > 0.97 * spent else None


def run(quick: bool) -> list[Result]:
    """Both tables; quick: a tenth of the faces and two seeds."""
    torch.set_num_threads(1)
    valid = faces("valid", limit=600 if quick else None, probs=True)
    found = agreement(valid, "FER+ valid", 2 if quick else 5)
    train = faces("train", limit=1500 if quick else None)
    return [*found, *budget(train, valid, (1_000,) if quick else BUDGETS, 2 if quick else 5)]


def settings(quick: bool) -> list[Result]:
    """What the policy's settings were chosen by: agreement on faces of FER+ train, at other certainties."""
    train = faces("train", limit=600 if quick else 4000)
    judged = train.majority >= 0
    found = []
    for text in ("1..3", "1..5", "1..7"):
        for sure in (0.75, 0.8, 0.85, 0.9, 0.95):
            values = []
            for seed in range(1 if quick else 3):
                dealt = deal(train.votes, np.random.default_rng(seed))
                given = ask(dealt, parse(text), sure=sure)
                made, has = labels(dealt, given)
                right = (made.argmax(axis=1) == train.majority) & has
                values.append((float(right[judged].mean()), float(given[judged].mean())))
            agree, spent = zip(*values, strict=True)
            found.append(
                Result(
                    f"FER+ train: {text}, sure {sure:g}", statistics.mean(agree), "agree", int(judged.sum()),
                    len(values), (min(agree), max(agree)), f"{statistics.mean(spent):.2f} votes per face judged",
                )
            )  # fmt: skip
    return found


if __name__ == "__main__":
    if "--settings" in sys.argv:
        sys.argv.remove("--settings")
        main(settings)
    else:
        main(run)
