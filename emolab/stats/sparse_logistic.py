"""Logistic regression on sparse features, one class against the rest, all classes at once.

Each class has a problem of its own: ``strength`` x the sum of its log losses + half the squared length of its weights.
Newton's method with conjugate gradients finds the minimum (trust is kept by halving steps; Lin, Weng and Keerthi 2008,
"Trust region Newton methods for large-scale logistic regression"). The classes share the passes over the matrix, which
is what takes the time, while each has its own step. ``scale`` lets a class pay less for features that speak for or
against it: with :func:`contrast` this is the naive-Bayes weighting of Wang and Manning (2012, "Baselines and bigrams").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emolab.errors import DataError

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Floats = NDArray[np.float32]

MOST_STEPS, MOST_INNER, MOST_HALVINGS = 40, 60, 12
#: A step's system is solved to this share of its right side, or less near the minimum.
INEXACT = 0.3
#: A step is long enough when the objective falls by this share of what its slope promises.
PROMISED = 1e-4


@dataclass(frozen=True, kw_only=True)
class SparseHead:
    """``weight`` (d, k) and ``bias`` (k,) on the features as they were given; ``steps`` of Newton's method it took.

    ``slope`` (k,) is the length of each class's gradient at the end, as a share of that at the start.
    """

    weight: Floats
    bias: Floats
    steps: int
    slope: NDArray[np.float64]

    def logits(self, matrix: csr_matrix) -> Floats:
        """(n, d) -> (n, k)."""
        found: Floats = matrix @ self.weight
        found += self.bias
        return found

    def probabilities(self, matrix: csr_matrix) -> Floats:
        """(n, d) -> (n, k): each class by itself, so a row need not sum to 1."""
        return sigmoid(self.logits(matrix))


def sigmoid(logits: NDArray[np.floating[Any]]) -> Floats:
    """``1 / (1 + exp(-logits))`` in single precision, without overflow."""
    from scipy.special import expit

    found: Floats = expit(logits.astype(np.float32, copy=False))
    return found


def contrast(matrix: csr_matrix, targets: NDArray[np.floating[Any]], *, floor: float = 0.25) -> Floats:
    """How much each feature tells of each class (d, k): ``floor`` + the size of the log ratio of its shares in and out.

    Presence counts, not weight; one sentence more on either side keeps rare features finite.
    """
    present = matrix.copy()
    present.data = np.ones_like(present.data)
    there = targets.astype(np.float32)
    within, without = present.T @ there + 1, present.T @ (1 - there) + 1
    ratio = np.log(within / within.sum(axis=0)) - np.log(without / without.sum(axis=0))
    found: Floats = (np.abs(ratio) + floor).astype(np.float32)
    return found


def solve(
    matrix: csr_matrix,
    targets: NDArray[np.floating[Any]],
    *,
    strength: float,
    scale: Floats | None = None,
    counted: NDArray[np.bool_] | None = None,
    tolerance: float = 1e-2,
) -> SparseHead:
    """The heads for ``matrix`` (n, d) and soft ``targets`` (n, k) in 0..1, columns independent of each other.

    ``strength`` is what the data count against the penalty (C of other programs). ``scale`` (d, k) multiplies the
    features class by class. Where ``counted`` (n, k) is false, a sample says nothing of a class. Ends when every
    class's gradient has fallen to ``tolerance`` of what it was. Deterministic.
    Raises :class:`DataError` for targets outside 0..1 and for features that are no numbers.
    """
    if strength <= 0:
        raise ValueError(f"strength is {strength}; expected a positive number")
    if not np.isfinite(matrix.data).all():
        raise DataError("Some features are not finite numbers, so no head can be solved.")
    if not ((targets >= 0) & (targets <= 1)).all():
        raise DataError("Some targets lie outside 0 to 1.", hint="A target is the share of votes for a class.")
    problem = _Problem(matrix, targets, strength, scale, counted)
    at, first = problem.start(), np.zeros(0)
    for steps in range(MOST_STEPS):
        slope = problem.slope(at)
        length = slope.length()
        first = length if steps == 0 else first
        share = length / np.maximum(first, 1e-30)
        if share.max(initial=0) <= tolerance or steps == MOST_STEPS - 1:
            break
        move, along = problem.newton(at, slope, np.minimum(INEXACT, 0.5 * np.sqrt(share)))
        found = problem.search(at, slope, move, along)
        if found is None:  # rounding hides what is left to gain
            break
        at = found
    weight = at.weight if scale is None else at.weight * scale
    return SparseHead(weight=weight.astype(np.float32), bias=at.bias, steps=steps, slope=share)


@dataclass(frozen=True)
class _Part:
    """Weights (d, k) and bias (k,), or something of the same shape."""

    weight: Floats
    bias: Floats

    def dot(self, other: _Part) -> NDArray[np.float64]:
        found: NDArray[np.float64] = np.einsum("ij,ij->j", self.weight, other.weight, dtype=np.float64)
        return found + self.bias.astype(np.float64) * other.bias

    def length(self) -> NDArray[np.float64]:
        return np.sqrt(self.dot(self))

    def plus(self, factor: NDArray[np.floating[Any]], other: _Part) -> _Part:
        """This and ``factor`` (k,) times the other."""
        by = factor.astype(np.float32)
        return _Part(self.weight + by * other.weight, self.bias + by * other.bias)


@dataclass(frozen=True)
class _Point(_Part):
    """Where the search is, with the logits (n, k) and the objective (k,) there."""

    logits: Floats
    value: NDArray[np.float64]


class _Problem:
    def __init__(
        self,
        matrix: csr_matrix,
        targets: NDArray[np.floating[Any]],
        strength: float,
        scale: Floats | None,
        counted: NDArray[np.bool_] | None,
    ) -> None:
        self._x = matrix.astype(np.float32, copy=False)
        self._xt = self._x.T.tocsr()
        self._squares = self._xt.copy()
        self._squares.data **= 2
        self._y = np.ascontiguousarray(targets, dtype=np.float32)
        everything = counted is None or bool(counted.all())
        self._each: Floats = np.full((1, 1) if everything else targets.shape, strength, np.float32)
        if counted is not None and not everything:
            self._each[~counted] = 0
        self._scale = scale

    def start(self) -> _Point:
        """No weights, and the bias that answers the class's share."""
        n, k = self._y.shape
        told = np.broadcast_to(self._each > 0, (n, k))
        share = ((self._y * told).sum(axis=0, dtype=np.float64) + 0.5) / (told.sum(axis=0) + 1)
        bias = np.log(share / (1 - share)).astype(np.float32)
        logits = np.broadcast_to(bias, (n, k)).astype(np.float32)
        weight = np.zeros((self._x.shape[1], k), np.float32)
        return _Point(weight, bias, logits, self._value(weight, logits))

    def _value(self, weight: Floats, logits: Floats) -> NDArray[np.float64]:
        each = self._each * (np.logaddexp(np.float32(0), logits) - self._y * logits)
        length = np.einsum("ij,ij->j", weight, weight, dtype=np.float64)
        found: NDArray[np.float64] = 0.5 * length + each.sum(axis=0, dtype=np.float64)
        return found

    def _back(self, residual: Floats) -> _Part:
        """What ``residual`` (n, k) of the logits says of weights and bias."""
        weight: Floats = self._xt @ residual
        if self._scale is not None:
            weight *= self._scale
        return _Part(weight, residual.sum(axis=0, dtype=np.float64).astype(np.float32))

    def _forth(self, part: _Part) -> Floats:
        """The change of the logits (n, k) that ``part`` makes."""
        made: Floats = self._x @ (part.weight if self._scale is None else part.weight * self._scale)
        made += part.bias
        return made

    def slope(self, at: _Point) -> _Part:
        """The gradient."""
        back = self._back(self._each * (sigmoid(at.logits) - self._y))
        return _Part(back.weight + at.weight, back.bias)

    def newton(self, at: _Point, slope: _Part, inexact: NDArray[np.float64]) -> tuple[_Part, Floats]:
        """Each class's Newton step by preconditioned conjugate gradients, and its change of the logits (n, k)."""
        probs = sigmoid(at.logits)
        curve = self._each * probs * (1 - probs)
        diagonal = self._squares @ curve
        if self._scale is not None:
            diagonal *= self._scale**2
        diagonal += 1
        over_bias = np.maximum(curve.sum(axis=0), np.float32(1e-6))
        move = _Part(np.zeros_like(slope.weight), np.zeros_like(slope.bias))
        along = np.zeros_like(at.logits)
        left = _Part(-slope.weight, -slope.bias)
        near = _Part(left.weight / diagonal, left.bias / over_bias)
        way, rest = near, left.dot(near)
        goal = inexact * left.length()
        for _ in range(MOST_INNER):
            forth = self._forth(way)
            bent = self._back(curve * forth)
            bent = _Part(bent.weight + way.weight, bent.bias)
            factor = rest / np.maximum(way.dot(bent), 1e-30)
            move, left = move.plus(factor, way), left.plus(-factor, bent)
            along += factor.astype(np.float32) * forth
            if (left.length() <= goal).all():
                break
            near = _Part(left.weight / diagonal, left.bias / over_bias)
            before, rest = rest, left.dot(near)
            way = near.plus(rest / np.maximum(before, 1e-30), way)
        return move, along

    def search(self, at: _Point, slope: _Part, move: _Part, along: Floats) -> _Point | None:
        """The point along ``move``, each class as far as its objective falls enough; ``None`` when none falls."""
        promised, step = slope.dot(move), np.ones(len(at.bias))
        noise = 1e-7 * np.abs(at.value)
        for _ in range(MOST_HALVINGS):
            there = at.plus(step, move)
            logits = at.logits + step.astype(np.float32) * along
            value = self._value(there.weight, logits)
            risen = value > at.value + PROMISED * step * promised + noise
            if not risen.any():
                return _Point(there.weight, there.bias, logits, value)
            step = np.where(risen, step / 2, step)
        return None
