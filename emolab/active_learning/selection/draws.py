"""Random versions of the model's last layer: what ``bald`` compares."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from emolab.errors import DataError
from emolab.stats.logistic import LogisticProblem, choose

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emolab.active_learning.selection.pool import Pool

#: Rows of the pool read at a time.
CHUNK = 16_384
#: Draws unless the caller says otherwise.
DRAWS = 10


def bootstrap_draws(pool: Pool, rng: np.random.Generator, *, draws: int = DRAWS) -> NDArray[np.float32]:
    """What ``draws`` linear heads, each fitted on a resample of the labelled rows, say of every row: (t, n, k).

    1. The penalty is chosen by cross-validation on the labelled rows of ``pool`` (:mod:`emolab.stats.logistic`).
    2. Each head is solved exactly on as many rows drawn from them with replacement: the bootstrap (Efron 1979), whose
       spread stands for that of the posterior.
    3. Each answers for the rows that somebody may ask about; labelled rows and rows without an embedding are NaN.

    Reads ``pool.embeddings`` in chunks and ``pool.targets``; the same generator state gives the same draws in whatever
    order rows are stored. Raises :class:`DataError` when fewer than two labelled rows have both.
    """
    if pool.embeddings is None or pool.targets is None:
        raise ValueError("bootstrap_draws reads pool.embeddings and pool.targets")
    known = pool.order[pool.labelled[pool.order]]
    features = np.asarray(pool.embeddings[known], dtype=np.float64)
    targets = np.asarray(pool.targets[known], dtype=np.float64)
    usable = np.isfinite(features).all(axis=1) & np.isfinite(targets).all(axis=1)
    if usable.sum() < 2:
        raise DataError(
            f"{usable.sum()} samples are labelled and have an embedding; versions of the model need 2 to differ.",
            hint="Collect votes first, or use --strategy margin.",
        )
    problem = LogisticProblem(features[usable], targets[usable])
    size = len(problem.x)
    best, _, start = choose(problem, seed=int(rng.integers(2**31)))
    heads = []
    for _ in range(draws):
        rows = np.sort(rng.integers(size, size=size))
        point = problem.solve(best.penalty, start=start, rows=rows, tolerance=1e-5)
        heads.append(problem.fold_back(point, best.penalty))
    answers = np.full((draws, len(pool), targets.shape[1]), np.nan, dtype=np.float32)
    for begin in range(0, len(pool.candidates), CHUNK):
        rows = pool.candidates[begin : begin + CHUNK]
        part = np.asarray(pool.embeddings[rows], dtype=np.float64)
        for answer, head in zip(answers, heads, strict=True):
            answer[rows] = head.probabilities(part)
    return answers
