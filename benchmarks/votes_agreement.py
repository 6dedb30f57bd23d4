"""How many votes per face make a label what all ten people of FER+ settle on: fixed numbers, and the policy.

Every face is voted on; judged are those with an official majority of the ten: how many get it as their label (a face
most people call unlabelable has none), and the mean number of votes, of those judged and of all. "1..5" is the policy
of ``labeling.votes``. The model that adds its opinion is a linear head on frozen features (128 principal components of
MobileNetV2's, ImageNet weights, 96 pixels), out of fold, that learns from the votes so far; or the bundled face48.
"""

from __future__ import annotations

import statistics

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.dealing import COMPONENTS, Dealt, Floats, ask, deal, labels, out_of_fold, table
from benchmarks.ferplus import Faces, K, faces
from benchmarks.harness import Result, main
from emolab.active_learning.simulation.frozen_trainer import principal
from emolab.votes.quota import parse

#: Certainties (``labeling.sure``) to choose from.
CERTAINTIES = (0.75, 0.8, 0.85, 0.9, 0.95)


def run(quick: bool) -> list[Result]:
    """The table of FER+ valid; quick: 600 faces and two deals."""
    torch.set_num_threads(1)
    return agreement(faces("valid", limit=600 if quick else None, probs=True), "FER+ valid", 2 if quick else 5)


def agreement(found: Faces, name: str, seeds: int) -> list[Result]:
    """Agreement with the official majority against votes per face, for fixed numbers and for the policy."""
    features = principal(found.features, found.features[:0], COMPONENTS)[0]
    scores: dict[str, list[tuple[float, float, float]]] = {}
    for seed in range(seeds):
        dealt = deal(found.votes, np.random.default_rng(seed))
        head_says: dict[int, Floats] = {}

        def note(label: str, given: NDArray[np.int64], aggregator: str = "hybrid", dealt: Dealt = dealt) -> None:
            scores.setdefault(label, []).append(score(found, dealt, given, aggregator))

        for fixed in (1, 2, 3, 4, 5, 7):
            given = np.full(len(found.votes), fixed)
            note(f"{fixed} each, majority", given, "majority")
            note(f"{fixed} each", given)
        note("2, then until two agree, up to 5", until_two_agree(dealt))
        for text in ("1..3", "1..5", "2..5", "1..7"):
            wanted = parse(text)
            if wanted.low not in head_says:
                head_says[wanted.low] = out_of_fold(features, dealt, np.full(len(found.votes), wanted.low))
            note(text, ask(dealt, wanted))
            note(f"{text}, head in the loop", ask(dealt, wanted, probs=head_says[wanted.low]))
            if found.probs is not None:
                note(f"{text}, face48", ask(dealt, wanted, probs=found.probs))
    return [told(f"{name}: {label}", found, values) for label, values in scores.items()]


def certainties(found: Faces, name: str, seeds: int) -> list[Result]:
    """Agreement and votes per face of the policy at other values of ``labeling.sure``."""
    results = []
    for text in ("1..3", "1..5", "1..7"):
        for sure in CERTAINTIES:
            values = []
            for seed in range(seeds):
                dealt = deal(found.votes, np.random.default_rng(seed))
                values.append(score(found, dealt, ask(dealt, parse(text), sure=sure)))
            results.append(told(f"{name}: {text}, sure {sure:g}", found, values))
    return results


def score(
    found: Faces, dealt: Dealt, given: NDArray[np.int64], aggregator: str = "hybrid"
) -> tuple[float, float, float]:
    """The share of the judged faces whose label is right, ties shared, and votes per face judged and of all."""
    judged = found.majority >= 0
    made, has = labels(dealt, given, aggregator)
    top = (made == made.max(axis=1, keepdims=True)) & has[:, None]
    right = top[judged, found.majority[judged]] / np.maximum(top[judged].sum(axis=1), 1)
    return float(right.mean()), float(given[judged].mean()), float(given.mean())


def told(name: str, found: Faces, values: list[tuple[float, float, float]]) -> Result:
    """A row of the table from one :func:`score` per deal."""
    agree, of_judged, of_all = zip(*values, strict=True)
    return Result(
        name=name,
        value=statistics.mean(agree),
        unit="agree",
        n=int((found.majority >= 0).sum()),
        seeds=len(values),
        spread=(min(agree), max(agree)),
        note=f"{statistics.mean(of_judged):.2f} votes per face judged, "
        f"{statistics.mean(of_all):.2f} of all {len(found.votes):,}",
    )


def until_two_agree(dealt: Dealt) -> NDArray[np.int64]:
    """The rule of thumb beside the policy: two votes, then one more until two agree, five at most."""
    given = np.full(len(dealt.said), 2)
    for _ in range(3):
        votes = table(dealt, given, meta=True)
        cells = np.zeros((len(given), K + 1))
        np.add.at(cells, (votes.sample, votes.label), 1)
        given = given + (cells.max(axis=1) < 2)
    return given


if __name__ == "__main__":
    main(run)
