"""The votes of CREMA-D on 7,442 clips: how far people perceive what was intended, and how many votes a clip needs.

The table of votes alone, no sound (its publishers count answers, not who gave them). First the agreement between the
winner of all votes and the emotion that the actor was asked for, by those who only heard, only saw, or both. Then, of
those who only heard, how many votes make a label what all of them settle on: a fixed number for every clip against the
policy of ``labeling.votes``, which asks on where in doubt. The votes of a clip (4 to 12) come in a random order from
twelve nicknames; judged are clips with a single winner of all votes. "At equal cost" is the policy's agreement less
that of a fixed number, interpolated to the same mean number of votes. Needs the test data pack (EMOLAB_TEST_DATA or
../shared).
"""

from __future__ import annotations

import csv
import io
import os
import statistics
import sys
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Result, main
from emolab.config import LabelingConfig
from emolab.labeling.labels.aggregators import DEFAULTS
from emolab.plugins import AGGREGATORS
from emolab.records import VoteTable
from emolab.votes.perspectives import agreement
from emolab.votes.quota import VoteQuota, parse
from emolab.votes.sufficiency import ONE_MORE, decide

CLASSES = ("anger", "disgust", "fear", "happiness", "neutral", "sadness")
LETTERS, CODES = "ADFHNS", ("ANG", "DIS", "FEA", "HAP", "NEU", "SAD")
SENSES = {1: "only heard", 2: "only seen", 3: "heard and seen"}
PEOPLE = 12
FIXED = (1, 2, 3, 4, 5, 7)
POLICIES = ("1..3", "1..5", "2..5", "1..7", "3..7")


def run(quick: bool) -> list[Result]:
    """Both tables; quick: 800 clips and two deals."""
    root = Path(os.environ.get("EMOLAB_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared")
    archive = root / "data" / "cremad_votes.zip"
    if not archive.is_file():
        print(f"The test data pack is not at {root}: nothing to measure. Set EMOLAB_TEST_DATA.", file=sys.stderr)
        return []
    rows = [row for sense in SENSES for row in perceived(archive, sense)]
    return rows + saved(read(archive, 1)[0][: 800 if quick else None], 2 if quick else 5)


def read(archive: Path, sense: int) -> tuple[NDArray[np.int64], NDArray[np.int64], list[str]]:
    """Counts of the answers (n, 6), the intended class (n,) and the name of every clip; ``sense`` as in SENSES."""
    with zipfile.ZipFile(archive) as files:
        name = next(each for each in files.namelist() if each.endswith("tabulatedVotes.csv"))
        lines = list(csv.DictReader(io.TextIOWrapper(files.open(name), "utf-8")))
    mine = [line for line in lines if int(line[""]) // 100_000 == sense]
    counts = np.array([[int(line[letter]) for letter in LETTERS] for line in mine])
    meant = np.array([CODES.index(line["fileName"].split("_")[2]) for line in mine])
    return counts, meant, [line["fileName"] for line in mine]


def tables(archive: Path, sense: int) -> tuple[VoteTable, VoteTable]:
    """The votes of those who heard or saw, and what was intended, of every clip."""
    counts, meant, names = read(archive, sense)
    return _table(counts, names), _table(np.eye(len(CLASSES), dtype=np.int64)[meant], names)


def _table(counts: NDArray[np.int64], names: list[str]) -> VoteTable:
    sample, label = np.nonzero(counts)
    return VoteTable(
        samples=names,
        annotators=["crowd"],
        classes=CLASSES,
        sample=sample.astype(np.int32),
        annotator=np.zeros(len(sample), np.int32),
        label=label.astype(np.int16),
        weight=counts[sample, label].astype(np.float32),
    )


def perceived(archive: Path, sense: int) -> list[Result]:
    """How far the votes of one sense are what was intended; by class for those who only heard."""
    found = agreement(*tables(archive, sense))
    if found is None:
        raise RuntimeError("the table holds no votes")
    who, n = SENSES[sense], found.samples - found.tied
    interval = (100 * found.low, 100 * found.high)
    rows = [
        Result(f"winner is the intended class, {who}", 100 * found.same, "%", n=n, spread=interval,
               note=f"95 % interval; {found.tied:,} ties left out"),
        Result(f"Cohen's kappa, {who}", found.kappa, "", n=n),
        Result(f"single votes for the intended class, {who}", 100 * found.votes, "%", n=found.people),
    ]  # fmt: skip
    if sense == 1:
        rows += [
            Result(f"{each.name} intended, winner the same", 100 * each.same, "%", n=each.samples,
                   note=f"votes {100 * each.votes:.0f} %, or heard as {each.instead} {100 * each.share:.0f} %")
            for each in found.classes
        ]  # fmt: skip
    return rows


class Dealt:
    """The votes of every clip in the order they come: ``said`` (n, 12) classes (-1: no more), by ``who`` (n, 12)."""

    def __init__(self, counts: NDArray[np.int64], rng: np.random.Generator) -> None:
        self.said = np.full((len(counts), PEOPLE), -1)
        for row, each in enumerate(counts):
            votes = rng.permutation(np.repeat(np.arange(len(CLASSES)), each))[:PEOPLE]
            self.said[row, : len(votes)] = votes
        self.who = rng.permuted(np.tile(np.arange(PEOPLE), (len(counts), 1)), axis=1)
        self.there = (self.said >= 0).sum(axis=1)

    def first(self, given: NDArray[np.int64]) -> VoteTable:
        """The first ``given`` (n,) votes of each clip."""
        sample, place = np.nonzero((np.arange(PEOPLE) < given[:, None]) & (self.said >= 0))
        return VoteTable(
            samples=[f"{row}" for row in range(len(self.said))],
            annotators=[f"p{person}" for person in range(PEOPLE)],
            classes=CLASSES,
            sample=sample.astype(np.int32),
            annotator=self.who[sample, place].astype(np.int32),
            label=self.said[sample, place].astype(np.int16),
            weight=np.ones(len(sample), dtype=np.float32),
        )

    def labels(self, given: NDArray[np.int64]) -> NDArray[np.float64]:
        """Label distributions (n, 6) of the default aggregator."""
        return np.asarray(AGGREGATORS.load("hybrid")(self.first(given), DEFAULTS), dtype=np.float64)

    def ask(self, wanted: VoteQuota, sure: float) -> NDArray[np.int64]:
        """How many votes (n,) each clip has when the policy asks for no more, or nobody is left to ask."""
        given: NDArray[np.int64] = np.minimum(wanted.low, self.there)
        while True:
            label = self.labels(given).argmax(axis=1)
            found = decide(self.first(given), wanted=wanted, sure=sure, people=given, labels=label)
            more = (found.state == ONE_MORE) & (given < self.there)
            if not more.any():
                return given
            given = given + more


def saved(counts: NDArray[np.int64], seeds: int) -> list[Result]:
    """Agreement with all votes by number of votes: fixed ones, the policies, and these at equal cost."""
    single = (counts == counts.max(axis=1, keepdims=True)).sum(axis=1) == 1
    truth = counts.argmax(axis=1)
    scores: dict[str, list[float]] = {}
    costs: dict[str, list[float]] = {}
    gains: dict[str, list[float]] = {}
    for seed in range(seeds):
        dealt = Dealt(counts, np.random.default_rng(seed))

        def score(name: str, given: NDArray[np.int64], dealt: Dealt = dealt) -> tuple[float, float]:
            made = dealt.labels(given).argmax(axis=1)
            right, cost = float((made == truth)[single].mean()), float(given.mean())
            scores.setdefault(name, []).append(right)
            costs.setdefault(name, []).append(cost)
            return right, cost

        fixed = [score(f"{n} each", np.minimum(n, dealt.there)) for n in FIXED]
        for text in POLICIES:
            right, cost = score(text, dealt.ask(parse(text), LabelingConfig().sure))
            same = float(np.interp(cost, [each[1] for each in fixed], [each[0] for each in fixed]))
            gains.setdefault(text, []).append(right - same)
    n = int(single.sum())
    rows = [
        Result(f"votes: {name}", 100 * statistics.mean(found), "% agree", n=n, seeds=seeds,
               spread=(100 * min(found), 100 * max(found)), note=f"{statistics.mean(costs[name]):.2f} votes per clip")
        for name, found in scores.items()
    ]  # fmt: skip
    return rows + [
        Result(f"{text} against a fixed number at equal cost", 100 * statistics.mean(found), "points", n=n, seeds=seeds,
               spread=(100 * min(found), 100 * max(found)), note=f"{statistics.mean(costs[text]):.2f} votes per clip")
        for text, found in gains.items()
    ]  # fmt: skip


if __name__ == "__main__":
    main(run)
