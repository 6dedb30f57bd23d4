"""Two sources in one training: what masking classes a source never annotates buys, and what weights per source would.

Heads solved on frozen features (MobileNetV2, ImageNet weights) of FER+ train; FER+ valid judges (official majority,
n printed; near copies of judged faces are not taken out, for all rows alike). The team's own 400 faces carry the
distribution of their votes over all eight classes. Beside them stand 4,000 faces of an open source: one that knows no
disgust, fear and contempt and puts such faces elsewhere, or one whose single labels are wrong by 30 %. A weight of w is
w copies of each of the team's faces. Needs the test data pack (EMOLAB_TEST_DATA or ../shared).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.ferplus import CLASSES, Faces, K, faces
from benchmarks.harness import Result, main
from emolab.active_learning.simulation.frozen_trainer import principal
from emolab.stats import logistic, metrics

#: Faces of the team and of the open source, those of the quick run, and seeds.
OWN, OPEN, QUICK, SEEDS = 400, 4_000, (60, 200), 5
#: Classes the narrow source never uses, the share of wrong labels of the careless one, weights of the team's faces.
UNKNOWN = tuple(CLASSES.index(name) for name in ("disgust", "fear", "contempt"))
WRONG, WEIGHTS = 0.3, (1, 2, 4, 8, 16)
WIDTH = 256

Floats = NDArray[np.float64]
Scores = dict[str, float]


def run(quick: bool) -> list[Result]:
    """Accuracy and macro-F1 of every way to teach, and their paired change against the plain one."""
    own, open_ = QUICK if quick else (OWN, OPEN)
    train, valid = faces("train", limit=400 if quick else None), faces("valid", limit=400 if quick else None)
    known = np.flatnonzero(train.votes[:, :K].sum(axis=1) > 0)
    judged = np.flatnonzero(valid.majority >= 0)
    pool, judge = principal(train.features[known].astype(np.float32), valid.features[judged].astype(np.float32), WIDTH)
    shares = train.votes[known, :K] / train.votes[known, :K].sum(axis=1, keepdims=True)
    seeds = range(1 if quick else SEEDS)
    runs = []
    for seed in seeds:
        rows = np.random.default_rng([41, seed]).permutation(len(pool))[: own + open_]
        runs.append(taught(pool[rows], shares[rows], own, judge, valid, judged, seed))
    return [row for name, base in BASES.items() for row in told(runs, name, base, n=len(judged))]


#: Every way to teach, and the one it is held against.
BASES: dict[str, str | None] = {
    "the team's faces alone": None,
    "narrow source, its missing classes taken for negative": None,
    "narrow source, masked": "narrow source, its missing classes taken for negative",
    "careless source, team's faces weigh 1": None,
    **{f"careless source, team's faces weigh {w}": "careless source, team's faces weigh 1" for w in WEIGHTS[1:]},
}


def taught(
    x: NDArray[np.float32], shares: Floats, own: int, judge: NDArray[np.float32], valid: Faces,
    judged: NDArray[np.int64], seed: int,
) -> dict[str, Scores]:  # fmt: skip
    """Figures of each way to teach with the first ``own`` rows as the team's and the others as the open source's."""
    rng = np.random.default_rng([43, seed])
    truth = valid.majority[judged]

    def scores(solved: logistic.Solution) -> Scores:
        guess = solved.logits(judge).argmax(axis=1)
        return {
            "accuracy": 100 * float((guess == truth).mean()),
            "macro-F1": 100 * metrics.macro_f1(truth, guess, K),
        }

    found = {"the team's faces alone": scores(logistic.solve(x[:own], shares[:own], seed=seed)[0])}
    narrow = shares.copy()
    narrow[own:, UNKNOWN] = 0
    kept = np.r_[np.ones(own, dtype=bool), narrow[own:].sum(axis=1) > 0]
    narrow = narrow[kept] / narrow[kept].sum(axis=1, keepdims=True)
    supported = np.ones(narrow.shape, dtype=bool)
    plain = logistic.solve(x[kept], narrow, supported=supported, seed=seed)[0]
    found["narrow source, its missing classes taken for negative"] = scores(plain)
    supported[own:, UNKNOWN] = False
    found["narrow source, masked"] = scores(logistic.solve(x[kept], narrow, supported=supported, seed=seed)[0])
    labels = shares[own:].argmax(axis=1)
    slipped = rng.random(len(labels)) < WRONG
    labels[slipped] = (labels[slipped] + rng.integers(1, K, int(slipped.sum()))) % K
    for weight in WEIGHTS:
        both = np.concatenate([np.tile(shares[:own], (weight, 1)), np.eye(K)[labels]])
        features = np.concatenate([np.tile(x[:own], (weight, 1)), x[own:]])
        problem = logistic.LogisticProblem(features, both)
        # The penalty is chosen on the team's faces alone: among copies cross-validation would find none too weak.
        penalty = (
            logistic.choose(logistic.LogisticProblem(x[:own], shares[:own]), seed=seed)[0].penalty * own / len(both)
        )
        solved = problem.head(penalty)
        found[f"careless source, team's faces weigh {weight}"] = scores(solved)
    return found


def told(runs: list[dict[str, Scores]], name: str, base: str | None, *, n: int) -> list[Result]:
    """Two rows: the mean and, where there is something to hold it against, its change pair by pair in the note."""
    rows = []
    for score in ("accuracy", "macro-F1"):
        values = [found[name][score] for found in runs]
        note = ""
        if base is not None:
            changes = [found[name][score] - found[base][score] for found in runs]
            note = f"{np.mean(changes):+.2f} ({min(changes):+.2f} to {max(changes):+.2f}) against: {base}"
        spread = (min(values), max(values))
        what = f"{name}: {score}"
        rows.append(Result(what, float(np.mean(values)), "%", n=n, seeds=len(runs), spread=spread, note=note))
    return rows


if __name__ == "__main__":
    main(run)
