"""What wrong labels cost a solved head (training.mode = head), and what a robust loss or label smoothing gives back.

Half of FER+ valid teaches, on features of face48, which never learned from it; the other half judges (official
majority). Single labels, a share of them replaced by another class, in what teaches and in the 15 % that fit the
temperature. The robust loss is the generalised cross-entropy (Zhang & Sabuncu 2018), from the solved head on with its
penalty; smoothing moves a tenth of every target to all classes alike. Needs the test data pack (EMOLAB_TEST_DATA or
../shared).
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from benchmarks.first_models import CLASSES
from benchmarks.harness import Result, main
from emolab.datasets.benchmark_set import evaluation_set
from emolab.inference.probabilities import softmax
from emolab.modalities.preparing import decode_many
from emolab.stats import logistic, metrics
from emolab.training.judging.calibrate import fit_temperature
from emolab.training.networks import bundled
from emolab.training.predict import load

K = len(CLASSES)
WRONG = (0.0, 0.1, 0.2, 0.3)
#: Exponent of the generalised cross-entropy, as in the paper, and the share that smoothing moves.
EXPONENT, SMOOTHED = 0.7, 0.1
HELD = 0.15
#: Images of the quick run; seeds.
FEW, SEEDS = 500, 5

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
Head = Callable[[Floats], Floats]


def run(quick: bool) -> list[Result]:
    """Accuracy and macro-F1 by share of wrong labels, and the paired change with a robust loss and with smoothing."""
    from benchmarks.ferplus import root

    folder = bundled.folder("face48")
    if folder is None:
        sys.exit("face48 is not in this installation.")
    predictor = load(folder, device="cpu").with_flips(False)
    judged = evaluation_set(f"ferplus:{root() / 'data' / 'ferplus_valid.zip'}", CLASSES)
    chosen = np.random.default_rng(0).permutation(judged.n)[: FEW if quick else None]
    pixels = decode_many([judged.media[i] for i in chosen], predictor.checkpoint.preprocessing)
    features = predictor.logits(pixels)[1].astype(np.float64)
    truth = judged.targets[chosen].astype(np.int64)
    seeds = range(1 if quick else SEEDS)
    results = []
    for wrong in WRONG:
        runs = [taught(features, truth, wrong, seed) for seed in seeds]
        for kind in ("cross-entropy", "robust loss", "smoothing"):
            for key, unit, factor in (("accuracy", "%", 100), ("macro_f1", "", 1)):
                base = [factor * found["cross-entropy"][key] for found in runs]
                values = [factor * found[kind][key] for found in runs]
                if kind != "cross-entropy":
                    values = [value - b for value, b in zip(values, base, strict=True)]
                what = key if kind == "cross-entropy" else f"change of {key}"
                name = f"{wrong:.0%} wrong, {kind}: {what}"
                n = len(truth) - len(truth) // 2
                spread = (min(values), max(values))
                results.append(Result(name, float(np.mean(values)), unit, n=n, seeds=len(seeds), spread=spread))
    return results


def taught(features: Floats, truth: Rows, wrong: float, seed: int) -> dict[str, dict[str, float]]:
    """Figures of each kind of head on the half that does not teach."""
    rng = np.random.default_rng([31, seed])
    n = len(truth)
    order = rng.permutation(n)
    teaching, judging = order[: n // 2], order[n // 2 :]
    fit, held = np.split(teaching, [round((1 - HELD) * len(teaching))])
    others = (truth + rng.integers(1, K, n)) % K
    labels = np.where(rng.random(n) < wrong, others, truth)
    targets = np.eye(K)[labels[fit]]
    solved, _ = logistic.solve(features[fit], targets, seed=seed)
    smooth, _ = logistic.solve(features[fit], (1 - SMOOTHED) * targets + SMOOTHED / K, seed=seed)
    heads: dict[str, Head] = {
        "cross-entropy": solved.logits,
        "robust loss": robust(features[fit], labels[fit], solved),
        "smoothing": smooth.logits,
    }
    found = {}
    for kind, logits in heads.items():
        temperature = fit_temperature(logits(features[held]), labels[held])
        found[kind] = metrics.summary(softmax(logits(features[judging]), temperature), truth[judging], CLASSES)
    return found


def robust(features: Floats, labels: Rows, start: logistic.Solution) -> Head:
    """The head with the least mean of (1 - p^q) / q and the penalty of ``start``, found from there."""
    n = len(features)
    mean, spread = features.mean(axis=0), features.std(axis=0) + 1e-9
    x = np.c_[(features - mean) / spread, np.ones(n)]
    first = np.c_[start.weight * spread, start.bias + start.weight @ mean]

    def loss(flat: Floats) -> tuple[float, Floats]:
        weight = flat.reshape(K, -1)
        probs = softmax(x @ weight.T).astype(np.float64)
        raised = np.maximum(probs[np.arange(n), labels], 1e-12) ** EXPONENT
        gradient = probs * raised[:, None]
        gradient[np.arange(n), labels] -= raised
        value = float(((1 - raised) / EXPONENT).mean() + start.penalty / 2 * (weight**2).sum())
        return value, (gradient.T @ x / n + start.penalty * weight).ravel()

    weight = minimize(loss, first.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 300}).x.reshape(K, -1)
    return lambda given: np.asarray((given - mean) / spread @ weight[:, :-1].T + weight[:, -1])


if __name__ == "__main__":
    main(run)
