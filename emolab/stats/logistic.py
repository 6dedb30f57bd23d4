"""The last layer alone, solved exactly: multinomial logistic regression on fixed features.

Features are standardised; the strength of the penalty is chosen by cross-validation within them; the one minimum is
found (:mod:`emolab.stats.lbfgs`); folded back, weights and bias act on features as they come.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emolab.errors import DataError
from emolab.stats.lbfgs import Floats, Objective, minimise

#: Added to the logit of a class that a sample's source cannot show.
HIDDEN = -1e9
#: Samples per feature from which the Gram matrix is estimated; it only guides the steps.
GRAM = 16
#: The first penalty tried, the factor between neighbours, and the largest and smallest.
FIRST, FACTOR, LARGEST, SMALLEST = 1e-2, 10**0.5, 1e3, 1e-6
FOLDS = 5
#: With more samples than this, one fold of this size judges what so many others teach, in place of all five.
JUDGES, TEACHERS = 4000, 3
#: From this many numbers on features are kept in single precision.
SINGLE = 1 << 22


@dataclass(frozen=True, kw_only=True)
class Solution:
    """``weight`` (k, d) and ``bias`` (k,) of the minimum, on the features as they were given.

    ``loss`` is the mean cross-entropy in nats, ``gradient`` the largest absolute entry of the objective's gradient on
    standardised features, ``steps`` the iterations it took.
    """

    weight: NDArray[np.float64]
    bias: NDArray[np.float64]
    penalty: float
    loss: float
    gradient: float
    steps: int

    def logits(self, features: Floats) -> NDArray[np.float64]:
        """(n, d) -> (n, k)."""
        found: NDArray[np.float64] = features.astype(np.float64) @ self.weight.T + self.bias
        return found

    def probabilities(self, features: Floats) -> NDArray[np.float64]:
        """(n, d) -> (n, k), rows sum to 1."""
        logits = self.logits(features)
        odds: NDArray[np.float64] = np.exp(logits - logits.max(axis=1, keepdims=True))
        odds /= odds.sum(axis=1, keepdims=True)
        return odds


@dataclass(frozen=True)
class SolverPoint:
    """Weights and, last, bias (k, r + 1) in the coordinates of a :class:`LogisticProblem`; how they were reached."""

    theta: Floats
    loss: float
    gradient: float
    steps: int


class LogisticProblem:
    """Standardised features, targets and the factored Gram matrix: everything the penalty does not change.

    ``features`` (n, d); ``targets`` (n, k) rows sum to 1 over ``supported`` (n, k). Raises :class:`DataError` for
    features that are no numbers. With fewer samples than features the solution lies in the span of the samples, and
    the problem is solved there. ``prior`` (n, k) are logits that the solution adds to: what it leaves is theirs.
    """

    def __init__(
        self,
        features: Floats,
        targets: Floats,
        *,
        supported: NDArray[np.bool_] | None = None,
        prior: Floats | None = None,
    ) -> None:
        n, d = features.shape
        k = targets.shape[1]
        kind: type[np.floating[Any]] = np.float32 if n * d > SINGLE else np.float64
        mean, spread = moments(features)
        self.mean = mean
        self.scale = np.divide(1.0, spread, out=np.zeros(d), where=spread > 0)
        x: Floats = features.astype(kind)
        x -= mean.astype(kind)
        x *= self.scale.astype(kind)
        self.basis: Floats | None = None
        if n < d:
            self.basis = np.linalg.qr(x.T)[0]
            x = x @ self.basis
        self.x: Floats = x
        self.y: Floats = np.ascontiguousarray(targets.T, dtype=kind)
        self.offset: Floats = np.zeros((k, 1), kind)
        if supported is not None and not supported.all():
            self.offset = np.where(supported.T, 0.0, HIDDEN).astype(kind)
        if prior is not None:
            self.offset = self.offset + np.ascontiguousarray(prior.T, dtype=kind)
        known = np.full(k, n) if supported is None else supported.sum(axis=0)
        shares = (targets.sum(axis=0, dtype=np.float64) + 0.5) / (known + 0.5 * k)
        logs = np.log(shares)
        self.centre: Floats = (logs - logs.mean()).astype(kind) if prior is None else np.zeros(k, kind)
        some = x[:: max(1, n // (GRAM * x.shape[1]))]
        values, self.vectors = np.linalg.eigh(some.T @ some / len(some))
        self.values: Floats = np.maximum(values, 0)

    def start(self) -> SolverPoint:
        """No weights, and a bias that answers the class shares."""
        theta = np.zeros((len(self.y), self.x.shape[1] + 1), self.x.dtype)
        theta[:, -1] = self.centre
        return SolverPoint(theta, float("inf"), float("inf"), 0)

    def solve(
        self,
        penalty: float,
        *,
        start: SolverPoint | None = None,
        rows: NDArray[np.int64] | None = None,
        bias_penalty: float = 1.0,
        tolerance: float | None = None,
    ) -> SolverPoint:
        """The minimum over ``rows`` of mean cross-entropy + penalty / 2 (|W|² + bias_penalty |b - class shares|²).

        Ends when no entry of the gradient exceeds ``tolerance`` (1e-8, or 5e-5 in single precision) or rounding stops
        it. A penalty above 0 makes the minimum unique, for classes nobody has seen too.
        """
        if penalty <= 0:
            raise ValueError(f"penalty is {penalty}; expected a positive number")
        if tolerance is None:
            tolerance = 1e-8 if self.x.dtype == np.float64 else 5e-5
        begin = self.start() if start is None else start
        objective = self._objective(rows, penalty, bias_penalty)
        return SolverPoint(*minimise(objective, begin.theta, self.vectors, self.values, tolerance))

    def loss(self, point: SolverPoint, rows: NDArray[np.int64]) -> float:
        """Mean cross-entropy of ``point`` on ``rows``."""
        objective = self._objective(rows, 0.0, 0.0)
        return objective.fit(objective.linear(point.theta) + objective.offset)[1]

    def _objective(self, rows: NDArray[np.int64] | None, penalty: float, bias_penalty: float) -> Objective:
        chosen = slice(None) if rows is None else rows
        ridge = np.full(self.x.shape[1] + 1, penalty, self.x.dtype)
        ridge[-1] *= bias_penalty
        return Objective(
            x=self.x[chosen],
            y=self.y[:, chosen],
            offset=self.offset if self.offset.shape[1] == 1 else self.offset[:, chosen],
            ridge=ridge,
            centre=self.centre,
        )

    def head(self, penalty: float, *, tolerance: float | None = None) -> Solution:
        """The head at the minimum of :meth:`solve`, for features that are not standardised."""
        return self.fold_back(self.solve(penalty, tolerance=tolerance), penalty)

    def fold_back(self, point: SolverPoint, penalty: float) -> Solution:
        """``point`` as weights and bias for features that are not standardised."""
        weight = point.theta[:, :-1].astype(np.float64)
        if self.basis is not None:
            weight = weight @ self.basis.T.astype(np.float64)
        weight = weight * self.scale
        return Solution(
            weight=weight,
            bias=point.theta[:, -1].astype(np.float64) - weight @ self.mean,
            penalty=penalty,
            loss=point.loss,
            gradient=point.gradient,
            steps=point.steps,
        )


def moments(features: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation (d,) of each feature; the latter 0 where rounding is all there is.

    Raises :class:`DataError` naming how many samples hold a feature that is not a finite number.
    """
    n, d = features.shape
    total, square = np.zeros(d), np.zeros(d)
    first = features[0].astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        for begin in range(0, n, 4096):
            part = features[begin : begin + 4096].astype(np.float64) - first
            total += part.sum(axis=0)
            square += np.einsum("ij,ij->j", part, part)
    if not (np.isfinite(total).all() and np.isfinite(square).all()):
        bad = int((~np.isfinite(features)).any(axis=1).sum())
        raise DataError(
            f"{bad} of {n} samples have features that are not finite numbers, so no head can be solved.",
            hint="The backbone's weights are damaged or its features overflow; choose others: training.weights=PATH.",
        )
    spread = np.sqrt(np.maximum(square / n - (total / n) ** 2, 0))
    mean = first + total / n
    return mean, np.where(spread > 1e-6 * np.abs(mean), spread, 0.0)


@dataclass(frozen=True)
class Trial:
    """Mean cross-entropy within the folds (``train``) and on what they held out (``held``) for one penalty."""

    penalty: float
    train: float
    held: float


def choose(problem: LogisticProblem, *, seed: int) -> tuple[Trial, tuple[Trial, ...], SolverPoint]:
    """The best penalty by cross-validation, all that were tried, strongest first, and a solution near the final one.

    Up to 4,000 samples: five folds, classes spread evenly. Beyond: one fold of about 4,000 judges what three others
    teach. A penalty is a prior whose weight does not depend on the data, so over m of n samples it counts n / m times.
    From 0.01 on it falls by half a decade while that helps, and if it does not help at all it rises; each trial starts
    from the solution before. The held-out loss has one valley but for noise, so the rest need not be walked.
    """
    n = len(problem.x)
    few = n <= JUDGES
    parts = folds(problem.y.argmax(axis=0), FOLDS if few else max(FOLDS, -(-n // JUDGES)), seed=seed)
    held = parts if few else parts[:1]
    inside = [
        np.sort(np.concatenate([part for j, part in enumerate(parts) if j != i][: FOLDS - 1 if few else TEACHERS]))
        for i in range(len(held))
    ]

    def attempt(penalty: float, points: list[SolverPoint]) -> tuple[Trial, list[SolverPoint]]:
        tolerance = max(1e-5, min(3e-4, 0.1 * penalty))
        points = [
            problem.solve(penalty * n / len(rows), start=point, rows=rows, tolerance=tolerance)
            for point, rows in zip(points, inside, strict=True)
        ]
        losses = [problem.loss(point, part) for point, part in zip(points, held, strict=True)]
        return Trial(penalty, float(np.mean([point.loss for point in points])), float(np.mean(losses))), points

    first, middle = attempt(FIRST, [problem.start() for _ in held])
    best, trials, near = first, [first], middle[0]
    for factor in (1 / FACTOR, FACTOR):
        points, penalty = middle, FIRST * factor
        while SMALLEST * 0.99 < penalty < LARGEST * 1.01:
            trial, points = attempt(penalty, points)
            trials.append(trial)
            if trial.held >= best.held:
                break
            best, near, penalty = trial, points[0], penalty * factor
        if best is not first:
            break
    return best, tuple(sorted(trials, key=lambda trial: -trial.penalty)), near


def folds(classes: NDArray[np.int64], most: int, *, seed: int) -> list[NDArray[np.int64]]:
    """At most ``most`` parts of the positions of ``classes`` (n,), sorted, each with its share of every class."""
    n = len(classes)
    order = np.random.default_rng([FOLDS, seed, n]).permutation(n)
    order = order[np.argsort(classes[order], kind="stable")]
    count = min(most, n)
    return [np.sort(order[start::count]).astype(np.int64) for start in range(count)]


def solve(
    features: Floats,
    targets: Floats,
    *,
    supported: NDArray[np.bool_] | None = None,
    seed: int = 0,
    known: tuple[Floats, Floats] | None = None,
) -> tuple[Solution, tuple[Trial, ...]]:
    """The head for ``features`` (n, d) and soft ``targets`` (n, k), and the penalties tried on the way to it.

    Takes what :class:`LogisticProblem` takes. Deterministic: the same input and seed give the same head. ``known``,
    the weight (k, d) and bias (k,) of a head for the same classes, is where the penalty pulls to, in place of no
    weights at all: few samples then change little of it.

    >>> x = np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> head, _ = solve(x, np.eye(2)[[0, 0, 1, 1]])
    >>> head.logits(x).argmax(axis=1).tolist()
    [0, 0, 1, 1]
    """
    prior = None if known is None else features.astype(np.float64) @ known[0].T + known[1]
    problem = LogisticProblem(features, targets, supported=supported, prior=prior)
    best, trials, near = choose(problem, seed=seed)
    found = problem.fold_back(problem.solve(best.penalty, start=near), best.penalty)
    if known is not None:
        found = replace(found, weight=found.weight + known[0], bias=found.bias + known[1])
    return found, trials
