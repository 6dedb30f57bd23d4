"""Strategies: which samples deserve the next votes, as pure functions of arrays.

Each module holds one strategy as ``select(pool: Pool, n: int, rng: Generator) -> Picks``. It chooses ``n`` different
rows of ``pool.candidates``, best first, with scores of which higher means more useful; ties go to the smaller sample
id (candidates come in that order). ``n`` is at most the number of candidates. :func:`needs` says which columns a
strategy reads; the caller sees to it that they are there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from emolab.active_learning.selection.pool import Pool

F = TypeVar("F", bound=Callable[..., Any])

EVERYTHING = ("probs", "embeddings")
_NEEDS = "emolab_needs"
#: Predictions scored at a time.
CHUNK = 4_096


def needs(*columns: str) -> Callable[[F], F]:
    """Mark a strategy as reading these columns of the model (``probs``, ``embeddings``, ``draws``); none: no model."""

    def mark(strategy: F) -> F:
        setattr(strategy, _NEEDS, columns)
        return strategy

    return mark


def needed(strategy: Callable[..., Any]) -> tuple[str, ...]:
    """The columns a strategy reads; an unmarked one (of a plugin) is given everything."""
    found: tuple[str, ...] = getattr(strategy, _NEEDS, EVERYTHING)
    return found


def candidate_probs(pool: Pool, positions: NDArray[np.int64] | slice = slice(None)) -> NDArray[np.float64]:
    """Probabilities of the candidates (c, k), or of those at ``positions``, as float64.

    Rows without a usable prediction are NaN throughout.
    """
    import numpy as np

    assert pool.probs is not None  # noqa: S101  the caller provides what needs() names
    probs = np.asarray(pool.probs[pool.candidates[positions]], dtype=np.float64)
    usable = np.isfinite(probs).all(axis=1) & (probs.sum(axis=1) > 0)
    return np.where(usable[:, None], np.maximum(probs, 0.0), np.nan)


def candidate_scores(pool: Pool, measure: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> NDArray[np.float64]:
    """What ``measure`` says of the probabilities of every candidate, (c,), ``CHUNK`` of them at a time."""
    import numpy as np

    scores = np.empty(len(pool.candidates))
    for start in range(0, len(scores), CHUNK):
        part = slice(start, start + CHUNK)
        scores[part] = measure(candidate_probs(pool, part))
    return scores


def closeness(probs: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 less the gap between the two best classes of each row of ``probs`` (c, k): (c,), NaN stays NaN."""
    import numpy as np

    top = np.sort(probs, axis=1)[:, ::-1]
    return np.asarray(1 - (top[:, 0] - (top[:, 1] if top.shape[1] > 1 else 0.0)))


def named(pool: Pool, row: NDArray[np.float64], most: int) -> list[str]:
    """The ``most`` probable classes of a row of probabilities in words: ``["fear 41%", "surprise 39%"]``."""
    order = (-row).argsort(kind="stable")[:most]
    names = pool.classes or tuple(f"class {c}" for c in range(len(row)))
    return [f"{names[c]} {row[c]:.0%}" for c in order]


def opinion(pool: Pool, row: NDArray[np.float64]) -> str:
    """What the model thinks of a sample with this row of probabilities, in words that need no knowledge of models."""
    if len(row) < 2 or sorted(row.tolist())[-2] < _HARDLY:
        return f"the model says {named(pool, row, 1)[0]}"
    return f"the model wavers between {' and '.join(named(pool, row, 2))}"


#: A second class below this share is not worth a word.
_HARDLY = 0.05


NO_PREDICTION = "the model gave no prediction for it"
