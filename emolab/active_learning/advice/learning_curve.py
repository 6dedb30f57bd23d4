"""How accuracy grew with the labels there are: the exact head on nested subsets of them, in several random orders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from emolab.errors import DataError
from emolab.progress import SILENT, Progress
from emolab.stats import logistic

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emolab.stats.lbfgs import Floats

#: Orders in which labels are taken, sizes per order, and the smallest of them as a share of the largest.
ORDERS, SIZES, SMALLEST = 10, 7, 0.1
#: Parts of the judges that are taught with as well; one of them is held back in each order.
FOLDS = 5
#: With more labels than this, larger subsets would cost minutes and say little more.
MOST = 16_000
TOLERANCE = 1e-4


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """n labelled samples, by columns.

    ``features`` (n, d) of a backbone that has not seen their labels; ``targets`` (n, k) rows sum to 1; ``hard`` (n,)
    the class that counts as right. ``teach`` (n,): may be learnt from; ``judge`` (n,): may be judged with, and a sample
    may be both. ``unit`` (n,): what must not stand on both sides (person, video, copies). ``known`` is a weight (k, d)
    and bias (k,) the head starts from, as in :func:`emolab.stats.logistic.solve`.
    """

    features: Floats
    targets: Floats
    hard: NDArray[np.int64]
    teach: NDArray[np.bool_]
    judge: NDArray[np.bool_]
    unit: NDArray[np.int64]
    known: tuple[Floats, Floats] | None = None


@dataclass(frozen=True)
class Measured:
    """What the head got right: ``hits`` (r, m, j) 1 or 0 for order, size and judge, NaN where it was not asked.

    ``sizes`` (r, m) are the labels it learnt from.
    """

    sizes: NDArray[np.int64]
    hits: NDArray[np.float32]


def measure(data: Labelled, rng: np.random.Generator, *, orders: int = ORDERS, progress: Progress = SILENT) -> Measured:
    """The head's answers about the judges after each of several nested subsets of the labels.

    The penalty is chosen once, by cross-validation on all that may be learnt from; a prior's weight does not depend on
    the data, so on m of n samples it counts n / m times. A judge is never asked by a head that learnt from its unit:
    where judges are taught with too, each order holds back one of five parts of them. Raises :class:`DataError` when
    there is nothing to learn from or nobody to judge.
    """
    judges = np.flatnonzero(data.judge)
    teach = np.flatnonzero(data.teach)
    if len(judges) < FOLDS or len(teach) < FOLDS:
        raise DataError(f"{len(teach)} labels to learn from and {len(judges)} to judge with; at least 5 of each.")
    part = _parts(data, judges, rng)
    some = rng.permutation(teach)[:MOST]
    weight = penalty(data, some) * len(some)
    sizes: list[NDArray[np.int64]] = []
    hits = np.full((orders, SIZES, len(judges)), np.nan, dtype=np.float32)
    with progress.task("Learning curve", orders * SIZES, unit="heads") as task:
        for order in range(orders):
            asked = (part < 0) | (part == order % FOLDS)
            free = teach[~np.isin(data.unit[teach], data.unit[judges[asked]])]
            if not len(free) or not asked.any():
                raise DataError("All labelled samples belong together, so none can judge what others teach.")
            free = rng.permutation(free)[:MOST]
            sizes.append(steps(len(free)))
            for number, size in enumerate(sizes[-1]):
                answers = logits(data, free[:size], judges[asked], weight / size).argmax(axis=1)
                hits[order, number, asked] = answers == data.hard[judges[asked]]
                task.advance()
    return Measured(np.stack(sizes), hits)


def steps(n: int) -> NDArray[np.int64]:
    """Sizes of nested subsets of ``n`` labels, evenly spaced on a logarithmic scale, the last one ``n``."""
    found: NDArray[np.int64] = np.rint(np.geomspace(max(2.0, SMALLEST * n), n, SIZES)).astype(np.int64)
    return found


def _parts(data: Labelled, judges: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """The part 0..4 of every judge whose unit is taught with, whole units in one part; -1 for the others."""
    taught = np.unique(data.unit[data.teach])
    shared = np.isin(data.unit[judges], taught)
    _, number = np.unique(data.unit[judges], return_inverse=True)
    turn = rng.permutation(int(number.max()) + 1) % FOLDS
    return np.where(shared, turn[number], -1)


def _problem(data: Labelled, rows: NDArray[np.int64]) -> logistic.LogisticProblem:
    prior = None
    if data.known is not None:
        prior = data.features[rows].astype(np.float64) @ data.known[0].T + data.known[1]
    return logistic.LogisticProblem(data.features[rows], data.targets[rows], prior=prior)


def penalty(data: Labelled, rows: NDArray[np.int64]) -> float:
    """The penalty that cross-validation within ``rows`` prefers."""
    return logistic.choose(_problem(data, rows), seed=0)[0].penalty


def logits(data: Labelled, rows: NDArray[np.int64], asked: NDArray[np.int64], strength: float) -> NDArray[np.float64]:
    """Logits (len(asked), k) of the head that learns from ``rows`` under a penalty of this ``strength``."""
    problem = _problem(data, rows)
    solved = problem.head(strength, tolerance=TOLERANCE)
    found = solved.logits(data.features[asked])
    if data.known is not None:
        found = found + data.features[asked].astype(np.float64) @ data.known[0].T + data.known[1]
    return found
