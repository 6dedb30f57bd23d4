"""The solved head beside scikit-learn's LogisticRegression: CPU time and accuracy at 30,000 x 512 x 8, one thread.

Both minimise the same objective (L2 with C = 1, bias free) on the same single-precision features. scikit-learn runs
with its defaults (lbfgs, tol 1e-4) and gets the features standardised for nothing, which it needs to converge; emolab's
time includes standardising. A third row adds the search for the penalty, which scikit-learn's time does not contain.
Features are drawn: eight classes with the shares of FER+, correlated features of unequal scale, half of them rectified.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Result, interleave, main, ratio, summary

N, D, K, JUDGED = 30_000, 512, 8, 10_000
SHARES = np.array([0.36, 0.27, 0.13, 0.11, 0.09, 0.01, 0.02, 0.01])
OURS, CHOSEN, THEIRS = "emolab", "emolab, penalty searched", "scikit-learn"
Floats = NDArray[np.float32]


def run(quick: bool) -> list[Result]:
    """CPU time and accuracy of both on drawn features."""
    return head_vs_sklearn(quick)


def drawn(seed: int, n: int) -> tuple[Floats, NDArray[np.int64], Floats, NDArray[np.int64]]:
    """Features and classes to learn from (n, D), then those to judge on (10,000, D); about 80 % can be told."""
    rng = np.random.default_rng(seed)
    mix = np.linalg.qr(rng.standard_normal((D, D)))[0] * np.geomspace(3, 0.1, D)[:, None]
    centres = rng.standard_normal((K, D)) * 0.055
    classes = rng.choice(K, n + JUDGED, p=SHARES / SHARES.sum())
    x = (rng.standard_normal((n + JUDGED, D)) @ mix + centres[classes]).astype(np.float32)
    x[:, ::2] = np.maximum(x[:, ::2], 0)
    return x[:n], classes[:n], x[n:], classes[n:]


def head_vs_sklearn(quick: bool) -> list[Result]:
    """``head_vs_sklearn``, the ratio of CPU times, and what stands behind it; a few seconds when ``quick``."""
    from threadpoolctl import threadpool_limits

    taken: dict[str, list[float]] = {}
    accuracy: dict[str, list[float]] = {}
    losses: list[float] = []
    gradients: list[float] = []
    steps: list[int] = []
    seeds, repeats = (2, 1) if quick else (5, 3)
    contest(-1, 2000)  # imports and first calls: only libraries that are loaded can be limited
    with threadpool_limits(1):
        for seed in range(seeds):
            found, correct, facts = contest(seed, N, repeats=repeats)
            for name in found:
                taken.setdefault(name, []).extend(found[name])
                accuracy.setdefault(name, []).append(correct[name])
            losses.append(facts["loss"])
            gradients.append(facts["gradient"])
            steps.append(int(facts["steps"]))
    data = f"drawn, {N:,} x {D} x {K}, one thread"
    rows = []
    for label, name in (("head_vs_sklearn", OURS), ("head_vs_sklearn, penalty searched", CHOSEN)):
        value, spread = ratio(taken, name, THEIRS)
        gap = [100 * (a - b) for a, b in zip(accuracy[name], accuracy[THEIRS], strict=True)]
        middle, (low, high) = summary(gap)
        note = f"{data}; accuracy {middle:+.2f} points ({low:+.2f} to {high:+.2f}) on {JUDGED:,} others"
        rows.append(Result(label, value, "of its CPU time", N, len(taken[name]), spread, note))
    for name in (OURS, CHOSEN, THEIRS):
        value, spread = summary(taken[name])
        middle, _ = summary([100 * share for share in accuracy[name]])
        said = {
            OURS: f"at most {max(steps)} steps, slope {max(gradients):.0e}; objective {max(losses):+.0e} of theirs",
            CHOSEN: "cross-validation within the training samples",
            THEIRS: "LogisticRegression, defaults, converged, features standardised for it",
        }[name]
        rows.append(
            Result(f"{name}, CPU time", value, "s", N, len(taken[name]), spread, f"accuracy {middle:.2f} %; {said}")
        )
    return rows


def contest(
    seed: int, n: int, *, repeats: int = 1
) -> tuple[dict[str, list[float]], dict[str, float], dict[str, float]]:
    """CPU seconds and accuracy of each contestant on one draw; excess loss, slope and steps of the solved head."""
    from scipy.special import log_softmax
    from sklearn.linear_model import LogisticRegression

    from emolab.stats import logistic

    x, classes, judged, truth = drawn(abs(seed) + 1, n)
    mean, spread = x.mean(axis=0), x.std(axis=0)
    plain, judged_plain = (x - mean) / spread, (judged - mean) / spread
    targets = np.eye(K, dtype=np.float32)[classes]
    penalty = 1 / n
    heads: dict[str, logistic.Solution] = {}
    theirs = LogisticRegression(max_iter=1000)

    def solve() -> None:
        problem = logistic.LogisticProblem(x, targets)
        heads[OURS] = problem.fold_back(problem.solve(penalty, bias_penalty=1e-9), penalty)

    def search() -> None:
        heads[CHOSEN] = logistic.solve(x, targets)[0]

    contestants: dict[str, Callable[[], object]] = {
        OURS: solve,
        CHOSEN: search,
        THEIRS: lambda: theirs.fit(plain, classes),
    }
    taken = interleave(contestants, repeats, warm_up=0)
    correct = {name: float((made.logits(judged).argmax(axis=1) == truth).mean()) for name, made in heads.items()}
    correct[THEIRS] = float((theirs.predict(judged_plain) == truth).mean())

    def objective(logits: NDArray[np.float64], weight: NDArray[np.float64]) -> float:
        logs = log_softmax(logits, axis=1)[np.arange(n), classes]
        return float(-logs.mean() + 0.5 * penalty * (weight**2).sum())

    mine = objective(heads[OURS].logits(x), heads[OURS].weight * spread)
    weight = theirs.coef_.astype(np.float64)
    other = objective(plain.astype(np.float64) @ weight.T + theirs.intercept_, weight)
    return taken, correct, {"loss": mine - other, "gradient": heads[OURS].gradient, "steps": heads[OURS].steps}


if __name__ == "__main__":
    main(run)
