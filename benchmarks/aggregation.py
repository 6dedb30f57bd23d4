"""Turn votes into labels: how close to the truth, and at what cost, beside majority voting and crowd-kit.

Data: the published FER+ vote distributions (train and valid) are taken as the truth; simulated annotators draw votes
from them. A team has twelve members: all honest, mixed (two say neutral too often, one more so, one confuses
neighbouring emotions, one guesses) or bad (four honest, four biased to neutral, one confuser, three guess). "top1" is
agreement with the most voted class of FER+, "KL" the divergence from its distribution (probabilities below 0.001 count
as 0.001). Speed is CPU time, measured in turns. Without the data pack the truth is drawn from a Dirichlet instead.
"""

from __future__ import annotations

import csv
import io
import os
import statistics
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Result, interleave, main, ratio
from emolab.labeling.labels.aggregators import DEFAULTS
from emolab.plugins import AGGREGATORS
from emolab.records import VoteTable

CLASSES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
K = len(CLASSES)
TEAM = 12
Floats = NDArray[np.float64]


def truth(limit: int | None) -> tuple[Floats, str]:
    """Distributions (n, 8) of FER+ faces with at least five votes for an emotion, and what they are in words."""
    root = Path(os.environ.get("EMOLAB_TEST_DATA", Path(__file__).resolve().parent.parent.parent / "shared")) / "data"
    tables = []
    for split in ("Train", "Valid"):
        archive = root / f"ferplus_{split.lower()}.zip"
        if not archive.exists():
            drawn = np.random.default_rng(0).dirichlet(np.full(K, 0.25), limit or 30_000)
            return drawn, "drawn from a Dirichlet (no data pack)"
        with zipfile.ZipFile(archive) as content, content.open(f"FER2013{split}/label.csv") as stream:
            rows = csv.reader(io.TextIOWrapper(stream))
            tables.append(np.array([[int(count) for count in row[2 : 2 + K]] for row in rows], dtype=np.float64))
    counts = np.concatenate(tables)
    counts = counts[counts.sum(axis=1) >= 5]
    if limit is not None and limit < len(counts):
        counts = counts[np.random.default_rng(0).permutation(len(counts))[:limit]]
    return counts / counts.sum(axis=1, keepdims=True), "FER+ train and valid"


def team(kind: str, rng: np.random.Generator) -> Floats:
    """Confusion matrices (12, true, said) of a team."""

    def biased(strength: float) -> Floats:
        matrix = (1 - strength) * np.eye(K)
        matrix[:, 0] += strength
        return matrix

    honest = 0.95 * np.eye(K) + 0.05 / K
    confuser = 0.9 * np.eye(K) + 0.1 / K
    for one, other in ((6, 2), (4, 5), (3, 0), (7, 4)):
        confuser[[one, other]] = 0.54 * np.eye(K)[[other, one]] + 0.36 * np.eye(K)[[one, other]] + 0.1 / K

    def guesser() -> Floats:
        return np.tile(rng.dirichlet(np.full(K, 2.0)), (K, 1))

    members = {
        "honest": [honest] * 12,
        "mixed": [honest] * 7 + [biased(0.5), biased(0.5), biased(0.6), confuser, guesser()],
        "bad": [honest] * 4 + [biased(0.6), biased(0.6), biased(0.7), biased(0.7), confuser]
        + [guesser() for _ in range(3)],
    }  # fmt: skip
    return np.stack(members[kind])


def simulate(probs: Floats, confusion: Floats, each: int, rng: np.random.Generator) -> VoteTable:
    """``each`` of the team's members vote on every sample: what they see is drawn from ``probs``, then confused."""
    n, w = len(probs), len(confusion)
    who = rng.random((n, w)).argsort(axis=1)[:, :each]
    seen = (probs[:, None, :].cumsum(axis=2) > rng.random((n, each, 1))).argmax(axis=2)
    said = (confusion[who, seen].cumsum(axis=2) > rng.random((n, each, 1))).argmax(axis=2)
    return VoteTable(
        samples=[f"s{i}" for i in range(n)],
        annotators=[f"a{i}" for i in range(w)],
        classes=CLASSES,
        sample=np.repeat(np.arange(n, dtype=np.int32), each),
        annotator=who.ravel().astype(np.int32),
        label=said.ravel().astype(np.int16),
        weight=np.ones(n * each, dtype=np.float32),
    )


def top1(probs: Floats, wanted: Floats) -> float:
    """Share of samples whose best class is one of the most voted ones."""
    best = wanted == wanted.max(axis=1, keepdims=True)
    return float(best[np.arange(len(wanted)), probs.argmax(axis=1)].mean())


def divergence(probs: Floats, wanted: Floats) -> float:
    """Mean Kullback-Leibler divergence of ``probs`` from ``wanted``, in nats."""
    ratios = np.maximum(wanted, 1e-12) / np.clip(probs, 1e-3, 1)
    return float((wanted * np.log(ratios)).sum(axis=1).mean())


def quality(quick: bool) -> list[Result]:
    """top1 and KL of every aggregator for every team."""
    probs, source = truth(4000 if quick else None)
    seeds = 3 if quick else 5
    found = []
    for kind in ("honest", "mixed", "bad"):
        for each in (3, 5):
            scores: dict[str, list[tuple[float, float]]] = {}
            for seed in range(seeds):
                rng = np.random.default_rng(seed)
                votes = simulate(probs, team(kind, rng), each, rng)
                for name in AGGREGATORS.names():
                    made = np.asarray(AGGREGATORS.load(name)(votes, DEFAULTS), dtype=np.float64)
                    scores.setdefault(name, []).append((top1(made, probs), divergence(made, probs)))
            for name, pairs in scores.items():
                for position, figure in enumerate(("top1", "KL")):
                    values = [pair[position] for pair in pairs]
                    found.append(
                        Result(
                            name=f"{kind}, {each} votes: {name} {figure}",
                            value=statistics.mean(values),
                            unit="" if position else "share",
                            n=len(probs),
                            seeds=seeds,
                            spread=(min(values), max(values)),
                            note=f"{source}; votes simulated",
                        )
                    )
    return found


def peers(quick: bool) -> list[Result]:
    """Accuracy and CPU time of Dawid-Skene and of the default against crowd-kit, on the same votes."""
    try:
        import pandas
        from crowdkit.aggregation import DawidSkene, MajorityVote
    except ImportError:
        return [Result("crowd-kit is not installed: no comparison", 0, "")]
    probs, source = truth(5000 if quick else None)
    if not quick:
        probs = np.concatenate([probs] * 4)[:100_000]
    rng = np.random.default_rng(0)
    votes = simulate(probs, team("mixed", rng), 5, rng)
    frame = pandas.DataFrame({"task": votes.sample, "worker": votes.annotator, "label": votes.label})
    hard: dict[str, NDArray[np.int64]] = {}

    def peer(name: str, build: Callable[[], object]) -> Callable[[], None]:
        def work() -> None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                answer = build().fit_predict(frame)  # type: ignore[attr-defined]
            hard[name] = answer.sort_index().to_numpy().astype(np.int64)

        return work

    def ours(name: str) -> Callable[[], None]:
        def work() -> None:
            hard[name] = AGGREGATORS.load(name)(votes, DEFAULTS).argmax(axis=1)

        return work

    taken = interleave(
        {
            "crowd-kit MajorityVote": peer("crowd-kit MajorityVote", MajorityVote),
            "crowd-kit DawidSkene": peer("crowd-kit DawidSkene", lambda: DawidSkene(n_iter=100)),
            **{name: ours(name) for name in ("majority", "dawid_skene", "hybrid")},
        },
        3,
    )
    found = []
    for name, seconds in taken.items():
        best = np.eye(K)[hard[name]]
        found.append(
            Result(
                name=f"{name}, CPU time",
                value=statistics.median(seconds),
                unit="s",
                n=len(probs),
                seeds=len(seconds),
                spread=(min(seconds), max(seconds)),
                note=f"mixed team, 5 votes; top1 {top1(best, probs):.3f}",
            )
        )
    for name, base in (("majority", "crowd-kit MajorityVote"), ("dawid_skene", "crowd-kit DawidSkene")):
        value, spread = ratio(taken, base, name)
        same = float((hard[name] == hard[base]).mean())
        found.append(
            Result(
                name=f"{base} : {name}",
                value=value,
                unit="times the CPU",
                n=len(probs),
                seeds=3,
                spread=spread,
                note=f"same hard label for {same:.1%}; {source}",
            )
        )
    return found


def run(quick: bool) -> list[Result]:
    """Quality on simulated teams, then cost beside crowd-kit."""
    return [*quality(quick), *peers(quick)]


if __name__ == "__main__":
    main(run)
