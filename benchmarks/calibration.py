"""One temperature or one number per class: face48's logits on FER+ valid, fitted on one half and judged on the other.

Per class means a factor for each class's logit, an offset, or both (vector scaling, Guo et al. 2017), by maximum
likelihood. Halves are drawn by class, and each takes both parts. Needs the test data pack (EMOLAB_TEST_DATA or
../shared).
"""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from benchmarks.first_models import CLASSES
from benchmarks.harness import Result, main
from emolab.datasets.benchmark_set import evaluation_set
from emolab.inference.probabilities import softmax
from emolab.modalities.preparing import decode_many
from emolab.stats import metrics
from emolab.training.judging.calibrate import fit_temperature
from emolab.training.networks import bundled
from emolab.training.predict import load

K = len(CLASSES)
KINDS = ("factors", "offsets", "both")
SHOWN = (
    ("nll", "log loss"),
    ("ece", "calibration error"),
    ("brier", "Brier score"),
    ("votes", "cross-entropy of votes"),
)
#: Images and splits of the quick run.
FEW, SPLITS_QUICK, SPLITS = 400, 2, 10

Floats = NDArray[np.float64]
Map = tuple[Floats, Floats]


def run(quick: bool) -> list[Result]:
    """Log loss, calibration error and Brier score of one temperature, and what numbers per class change."""
    from benchmarks.ferplus import root

    folder = bundled.folder("face48")
    if folder is None:
        sys.exit("face48 is not in this installation.")
    predictor = load(folder, device="cpu").with_flips(False)
    judged = evaluation_set(f"ferplus:{root() / 'data' / 'ferplus_valid.zip'}", CLASSES)
    chosen = np.sort(np.random.default_rng(0).permutation(judged.n)[: FEW if quick else None])
    pixels = decode_many([judged.media[i] for i in chosen], predictor.checkpoint.preprocessing)
    logits = predictor.logits(pixels)[0].astype(np.float64)
    truth, votes = judged.targets[chosen].astype(np.int64), judged.distributions[chosen]
    found: dict[str, list[dict[str, float]]] = {kind: [] for kind in ("one", *KINDS)}
    for split in range(SPLITS_QUICK if quick else SPLITS):
        half = halved(truth, np.random.default_rng(split))
        for mine in (half, ~half):
            for kind, rows in found.items():
                factor, offset = fitted(kind, logits[mine], truth[mine])
                rows.append(figures(softmax(logits[~mine] * factor + offset), truth[~mine], votes[~mine]))
    return [result for kind in found for result in compared(kind, found, len(truth))]


def halved(truth: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Half (n,) of the samples, drawn within each class."""
    half = np.zeros(len(truth), dtype=bool)
    for k in range(K):
        mine = rng.permutation(np.flatnonzero(truth == k))
        half[mine[: (len(mine) + int(rng.integers(2))) // 2]] = True
    return half


def fitted(kind: str, logits: Floats, truth: NDArray[np.int64]) -> Map:
    """Factor (k,) and offset (k,) of the logits that fit ``truth`` best; ``one`` is the temperature emolab fits."""
    start = 1 / fit_temperature(logits, truth)
    if kind == "one":
        return np.full(K, start), np.zeros(K)

    def split(numbers: Floats) -> Map:
        if kind == "factors":
            return numbers, np.zeros(K)
        return (np.full(K, numbers[0]), numbers[1:]) if kind == "offsets" else (numbers[:K], numbers[K:])

    def loss(numbers: Floats) -> tuple[float, Floats]:
        factor, offset = split(numbers)
        gap = softmax(logits * factor + offset).astype(np.float64)
        nll = metrics.negative_log_likelihood(gap, truth)
        gap[np.arange(len(truth)), truth] -= 1
        steps, moves = (gap * logits).mean(axis=0), gap.mean(axis=0)
        whole = {"factors": steps, "offsets": np.append(steps.sum(), moves), "both": np.append(steps, moves)}
        return nll, whole[kind]

    begin = {"factors": np.full(K, start), "offsets": np.append(start, np.zeros(K))}
    first = begin.get(kind, np.append(np.full(K, start), np.zeros(K)))
    return split(minimize(loss, first, jac=True, method="L-BFGS-B").x)


def figures(probs: NDArray[np.float32], truth: NDArray[np.int64], votes: NDArray[np.float32]) -> dict[str, float]:
    """What ``probs`` are worth against winners and votes."""
    found = metrics.summary(probs, truth, CLASSES)
    near = metrics.against_votes(probs, votes)["cross_entropy"]
    return {**{key: found[key] for key in ("nll", "ece", "brier")}, "votes": float(near or 0.0)}


def compared(kind: str, found: dict[str, list[dict[str, float]]], n: int) -> list[Result]:
    """The mean of each figure, or of its change against one temperature, with the range over the halves."""
    results = []
    for key, title in SHOWN:
        base = [row[key] for row in found["one"]]
        values = base if kind == "one" else [row[key] - b for row, b in zip(found[kind], base, strict=True)]
        name = f"one temperature: {title}" if kind == "one" else f"{kind} per class: change of {title}"
        results.append(
            Result(name, float(np.mean(values)), "", n=n, seeds=len(values), spread=(min(values), max(values)))
        )
    return results


if __name__ == "__main__":
    main(run)
