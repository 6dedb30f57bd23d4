"""How much of the class shares belongs into a label of few votes (labeling.prior): for training, and for the label.

Votes are dealt from the ten of every FER+ train face; soft labels with each prior teach a head on frozen features
(MobileNetV2, ImageNet weights, 128 principal components). 4,000 other train faces choose, FER+ valid reports (official
majority, n printed). Beside that the divergence of the label from the distribution of all ten votes, in nats. Needs the
test data pack (EMOLAB_TEST_DATA or ../shared).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.ferplus import K, faces
from benchmarks.harness import Result, main
from emolab.active_learning.simulation.frozen_trainer import principal
from emolab.labeling.labels.aggregators.soft import smooth
from emolab.stats import logistic, metrics

PRIORS = (0.0, 0.1, 0.25, 0.5, 1.0)
#: Votes per face and faces.
BUDGETS = ((1, 3_000), (3, 1_000))
CHOOSING, SEEDS, WIDTH = 4_000, 4, 128
#: A class nobody named counts as this share in the divergence: without it that would be infinite.
LEAST = 1e-3

Floats = NDArray[np.float64]


def run(quick: bool) -> list[Result]:
    """Accuracy and macro-F1 on the faces that choose and on FER+ valid, and the divergence, for every prior."""
    train, valid = faces("train", limit=1_200 if quick else None), faces("valid", limit=400 if quick else None)
    some = np.flatnonzero(train.votes[:, :K].sum(axis=1) >= max(votes for votes, _ in BUDGETS))
    judged = np.flatnonzero(valid.majority >= 0)
    features, judges = principal(train.features[some].astype(np.float32), valid.features[judged], WIDTH)
    held = 300 if quick else CHOOSING
    results = []
    for votes, n in BUDGETS:
        runs: dict[float, list[list[float]]] = {prior: [] for prior in PRIORS}
        for seed in range(1 if quick else SEEDS):
            rng = np.random.default_rng([47, seed])
            order = rng.permutation(len(some))
            choosing, rows = order[:held], order[held : held + (n // 10 if quick else n)]
            crowd = train.votes[some[rows], :K]
            dealt = np.array([rng.multivariate_hypergeometric(each, votes) for each in crowd], dtype=np.float64)
            clear = choosing[train.majority[some[choosing]] >= 0]
            for prior, found in runs.items():
                labels = smooth(dealt, prior)
                solved = logistic.solve(features[rows], labels, seed=seed)[0]
                chosen = scores(solved, features[clear], train.majority[some[clear]])
                reported = scores(solved, judges, valid.majority[judged])
                found.append([*chosen, *reported, divergence(crowd / crowd.sum(axis=1, keepdims=True), labels)])
        names = ("accuracy, choosing", "macro-F1, choosing", "accuracy, valid", "macro-F1, valid", "divergence")
        for prior, found in runs.items():
            for name, values in zip(names, np.array(found).T.tolist(), strict=True):
                what = f"{votes} votes x {n:,} faces, prior {prior:g}: {name}"
                unit = "nats" if name == "divergence" else "%"
                of = len(judged) if "valid" in name else held if "choosing" in name else n
                spread = (min(values), max(values))
                results.append(Result(what, float(np.mean(values)), unit, n=of, seeds=len(values), spread=spread))
    return results


def scores(solved: logistic.Solution, features: NDArray[np.float32], truth: NDArray[np.int64]) -> tuple[float, float]:
    """Accuracy and macro-F1 in percent."""
    guess = solved.logits(features).argmax(axis=1)
    return 100 * float((guess == truth).mean()), 100 * metrics.macro_f1(truth, guess, K)


def divergence(crowd: Floats, labels: Floats) -> float:
    """Mean Kullback-Leibler divergence of ``labels`` (n, k) from the distributions ``crowd`` (n, k)."""
    told = np.maximum(labels, LEAST)
    told /= told.sum(axis=1, keepdims=True)
    return float((crowd * (np.log(np.maximum(crowd, 1e-12)) - np.log(told))).sum(axis=1).mean())


if __name__ == "__main__":
    main(run)
