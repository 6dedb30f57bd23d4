"""One minimum of multinomial logistic regression, found by preconditioned L-BFGS.

The curvature of the loss is about (mean curvature over classes) x (Gram matrix of the features), a sharper form of
the bound (I - 11'/k) / 2 x Gram of Böhning (1992, "Multinomial logistic regression algorithm"). That product, factored
once, starts every step; the last few moves (L-BFGS; Nocedal 1980) correct what it misses. Along a direction the logits
are linear, so a line search touches no features, and a step costs two passes over them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
MOST_STEPS = 300
#: Moves that are remembered, and steps after which the curvature is taken again.
PAIRS, RENEW = 20, 5
#: Steps without a smaller slope after which rounding must be what is left.
PATIENCE = 20
#: A line search ends when the slope has fallen to this share of the first one.
FLAT = 0.25


@dataclass(frozen=True)
class Objective:
    """Mean cross-entropy and its penalty: ``x`` (m, r), ``y`` (k, m), ``offset`` (k, 1 or m), ``ridge`` (r + 1,).

    A point is (k, r + 1), the bias in its last column; ``centre`` (k,) is what the bias is drawn to.
    """

    x: Floats
    y: Floats
    offset: Floats
    ridge: Floats
    centre: Floats

    def linear(self, theta: Floats) -> Floats:
        """What ``theta`` adds to the logits (k, m)."""
        made: Floats = theta[:, :-1] @ self.x.T
        made += theta[:, -1:]
        return made

    def slope_of_penalty(self, theta: Floats) -> Floats:
        """Gradient (k, r + 1) of the penalty."""
        away = theta.copy()
        away[:, -1] -= self.centre
        away *= self.ridge
        return away

    def penalty(self, theta: Floats) -> float:
        """The penalty itself."""
        away = theta.astype(np.float64)
        away[:, -1] -= self.centre
        return 0.5 * float((self.ridge * away * away).sum())

    def fit(self, logits: Floats) -> tuple[Floats, float]:
        """Probabilities (k, m) and the mean cross-entropy."""
        top = logits.max(axis=0)
        probs = np.exp(logits - top)
        total = probs.sum(axis=0)
        probs /= total
        loss = float((np.log(total) + top).mean(dtype=np.float64)) - _dot(self.y, logits) / len(self.x)
        return probs, loss

    def gradient(self, theta: Floats, probs: Floats) -> Floats:
        """Gradient (k, r + 1) of the whole objective, where the model gives ``probs``."""
        residual = probs - self.y
        residual /= len(self.x)
        made = self.slope_of_penalty(theta)
        made[:, :-1] += residual @ self.x
        made[:, -1] += residual.sum(axis=1)
        return made


def minimise(
    objective: Objective, theta: Floats, vectors: Floats, values: Floats, tolerance: float
) -> tuple[Floats, float, float, int]:
    """Preconditioned L-BFGS from ``theta``: the minimum, its cross-entropy, largest slope, and the steps taken."""
    logits: Floats = objective.linear(theta) + objective.offset
    probs, loss = objective.fit(logits)
    gradient = objective.gradient(theta, probs)
    precondition = _preconditioner(probs, vectors, values, objective.ridge)
    pairs: list[tuple[Floats, Floats, float]] = []
    move: Floats
    least, since = np.inf, 0
    for steps in range(MOST_STEPS):
        size = float(np.abs(gradient).max())
        least, since = (size, steps) if size < 0.9 * least else (least, since)
        if size <= tolerance or steps - since > PATIENCE:
            return theta, loss, size, steps
        if steps and steps % RENEW == 0:
            precondition = _preconditioner(probs, vectors, values, objective.ridge)
        move = -_two_loops(gradient, pairs, precondition)
        if _dot(move, gradient) >= 0:
            pairs, move = [], -precondition(gradient)
        found = _line_search(objective, theta, logits, loss, move, first=_dot(move, gradient))
        if found is None:  # rounding hides what is left to gain
            return theta, loss, size, steps
        step, logits, probs, loss = found
        moved: Floats = step * move
        theta = theta + moved
        after = objective.gradient(theta, probs)
        change = after - gradient
        inner = _dot(moved, change)
        if inner > 0:
            pairs = [*pairs[1 - PAIRS :], (moved, change, inner)]
        gradient = after
    return theta, loss, float(np.abs(gradient).max()), MOST_STEPS


def _preconditioner(probs: Floats, vectors: Floats, values: Floats, ridge: Floats) -> Callable[[Floats], Floats]:
    """The inverse of (mean curvature over classes) x (Gram matrix) + ridge, as a function of a gradient (k, r + 1)."""
    curvature = (np.diag(probs.sum(axis=1)) - probs @ probs.T) / probs.shape[1]
    over_classes, among = np.linalg.eigh(curvature)
    floor = 0.02 * max(float(over_classes[-1]), 1e-6)
    strength = np.maximum(over_classes, floor)[:, None]
    weight = 1 / (strength * values + ridge[0])
    bias = 1 / (strength[:, 0] + ridge[-1])

    def apply(gradient: Floats) -> Floats:
        turned = among.T @ gradient
        made = np.empty_like(gradient)
        made[:, :-1] = ((turned[:, :-1] @ vectors) * weight) @ vectors.T
        made[:, -1] = turned[:, -1] * bias
        return among @ made

    return apply


def _two_loops(
    gradient: Floats, pairs: list[tuple[Floats, Floats, float]], precondition: Callable[[Floats], Floats]
) -> Floats:
    """The L-BFGS approximation of the inverse Hessian times ``gradient`` (Nocedal 1980)."""
    left = gradient.copy()
    shares = []
    for moved, change, inner in reversed(pairs):
        share = _dot(moved, left) / inner
        left -= share * change
        shares.append(share)
    made = precondition(left)
    for (moved, change, inner), share in zip(pairs, reversed(shares), strict=True):
        made += (share - _dot(change, made) / inner) * moved
    return made


def _line_search(
    objective: Objective, theta: Floats, logits: Floats, loss: float, move: Floats, *, first: float
) -> tuple[float, Floats, Floats, float] | None:
    """A step along ``move`` with logits, probabilities and loss there; ``None`` when nothing falls any more.

    ``first`` is the slope at the start, below 0.

    The objective is convex, so its slope along the line only rises: its zero is bracketed and approached by secants.
    """
    along = objective.linear(move)
    start = loss + objective.penalty(theta)
    noise = 4 * float(np.finfo(theta.dtype).eps) * (1 + abs(start))
    low, low_slope, high, high_slope = 0.0, first, np.inf, np.inf
    step = 1.0
    best: tuple[float, Floats, Floats, float] | None = None
    for _ in range(20):
        there = logits + step * along
        probs, value = objective.fit(there)
        slope = _dot(probs - objective.y, along) / len(objective.x)
        slope += _dot(objective.slope_of_penalty(theta + step * move), move)
        total = value + objective.penalty(theta + step * move)
        flat = abs(slope) <= -FLAT * first
        if total < start or (flat and total <= start + noise):
            start, best = min(start, total), (step, there, probs, value)
            if flat:
                break
        if slope < 0:
            low, low_slope = step, slope
        else:
            high, high_slope = step, slope
        if high == np.inf:
            step = min(4 * low, low - low_slope * low / (low_slope - first)) if low_slope > first else 4 * low
            step = max(step, 1.2 * low)
        else:
            step = low - low_slope * (high - low) / (high_slope - low_slope)
            step = min(max(step, low + 0.05 * (high - low)), high - 0.05 * (high - low))
    return best


def _dot(a: Floats, b: Floats) -> float:
    return float(np.vdot(a, b))
