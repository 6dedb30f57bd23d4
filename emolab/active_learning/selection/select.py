"""Choosing the next batch: a pure function of the pool, a strategy and a generator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from emolab.active_learning.selection.pool import Picks, Pool
from emolab.active_learning.selection.thinning import MOST, thin
from emolab.active_learning.strategies import needed
from emolab.errors import DataError, EmolabError
from emolab.plugins import STRATEGIES

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Selection:
    """A batch, best first: ``rows`` of the pool, ``samples`` ids, ``scores`` (higher is more useful), ``reasons``.

    A sample of which the model knows nothing has the score 0. ``strategies`` names for each pick what it is owed to:
    ``strategy`` itself, or what that handed on to; ``note`` is what the strategy says of the whole choice.

    ``composition`` (k,) is how many samples of each class the model expects in the batch, ``None`` without a model;
    samples it has no prediction for are not in it.
    """

    strategy: str
    rows: NDArray[np.int64]
    samples: list[str]
    scores: NDArray[np.float64]
    reasons: list[str]
    composition: NDArray[np.float64] | None
    strategies: list[str]
    note: str = ""


def select(pool: Pool, n: int, *, strategy: str, rng: np.random.Generator) -> Selection:
    """``n`` samples of ``pool`` worth a vote, chosen by the registered ``strategy``.

    Never a labelled, pending or excluded one, one per duplicate group, none twice; the same generator state gives the
    same answer however the rows are ordered. Of more than :data:`~emolab.active_learning.selection.thinning.MOST`
    candidates a fair part stands for all where embeddings are looked at. Raises :class:`DataError` when fewer than
    ``n`` can be chosen or the pool lacks what the strategy reads, :class:`UnknownName` for an unknown strategy.
    """
    choose = STRATEGIES.load(strategy)
    _check_pool(pool)
    enough(pool, n)
    looked_at = thin(pool, max(MOST, n)) if "embeddings" in needed(choose) else pool
    for column in needed(choose):
        _check_column(looked_at, column, strategy)
    answer = Picks(*choose(looked_at, n, rng))
    notes = [answer.note] if answer.note else []
    if looked_at is not pool:
        notes.append(f"{max(MOST, n):,} of {len(pool.candidates):,} candidates stood for all.")
    rows, scores = np.asarray(answer.rows, dtype=np.int64), np.asarray(answer.scores, dtype=np.float64)
    _check_answer(pool, n, strategy, rows, scores)
    reasons = list(answer.reasons) or [f"{strategy} score {score:.3f}" for score in scores]
    return Selection(
        strategy=strategy,
        rows=rows,
        samples=[pool.samples[row] for row in rows],
        scores=np.nan_to_num(scores),
        reasons=reasons,
        composition=composition(pool, rows),
        strategies=list(answer.strategies) or [strategy] * n,
        note=" ".join(notes),
    )


def enough(pool: Pool, n: int) -> None:
    """Raise :class:`DataError`, which says where the others are, when fewer than ``n`` of ``pool`` can be chosen."""
    free = len(pool.candidates)
    if n < 1:
        raise DataError(f"Asked for {n} samples; expected 1 or more.")
    if n <= free:
        return
    if free:
        raise DataError(
            f"Only {free:,} of {len(pool):,} samples can be suggested, {n:,} were asked for: {_why(pool)}.",
            hint=f"Use -n {free}, or bring in more samples with: emolab collect PATH",
        )
    if not len(pool):
        raise DataError("There are no samples to suggest from.", hint="Bring some in with: emolab collect PATH")
    waiting = int((pool.pending & ~pool.labelled).sum())
    answers = "1 answer" if waiting == 1 else f"{waiting:,} answers"
    collect = "ring in more samples with: emolab collect PATH"
    raise DataError(
        f"None of the {len(pool):,} samples can be suggested: {_why(pool)}.",
        hint=f"Wait for {answers}: emolab label pull. Or b{collect}" if waiting else f"B{collect}",
    )


def composition(pool: Pool, rows: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """How many samples of each class (k,) the model expects among ``rows``; ``None`` without a model."""
    if pool.probs is None:
        return None
    probs = np.asarray(pool.probs[rows], dtype=np.float64)
    return np.asarray(probs[np.isfinite(probs).all(axis=1)].sum(axis=0))


def _why(pool: Pool) -> str:
    """What the samples that cannot be chosen are, in words."""
    excluded = np.zeros(len(pool), dtype=bool) if pool.excluded is None else pool.excluded
    labelled = int(pool.labelled.sum())
    pending = int((pool.pending & ~pool.labelled).sum())
    kept_out = int((excluded & ~pool.labelled & ~pool.pending).sum())
    copies = len(pool) - labelled - pending - kept_out - len(pool.candidates)
    parts = {("is labelled", "are labelled"): labelled, ("waits for an answer", "wait for an answer"): pending,
             ("is kept for validation or test", "are kept for validation or test"): kept_out,
             ("is a duplicate", "are duplicates"): copies}  # fmt: skip
    told = [f"{count:,} {one if count == 1 else several}" for (one, several), count in parts.items() if count]
    return ", ".join(told) or "there are no more"


def _check_pool(pool: Pool) -> None:
    hashes = np.fromiter(map(hash, pool.samples), dtype=np.int64, count=len(pool))
    hashes.sort()  # not a set of all ids, which would take more memory than choosing
    if (hashes[1:] == hashes[:-1]).any() and len(set(pool.samples)) < len(pool):
        raise DataError("A sample stands in the pool twice.")
    columns = {"labelled": pool.labelled, "pending": pool.pending, "excluded": pool.excluded,
               "duplicate": pool.duplicate, "probs": pool.probs, "embeddings": pool.embeddings,
               "targets": pool.targets}  # fmt: skip
    for name, column in columns.items():
        if column is not None and len(column) != len(pool):
            raise DataError(f'The pool has {len(pool)} samples, its column "{name}" has {len(column)}.')
    if pool.draws is not None and (pool.draws.ndim != 3 or not len(pool.draws) or pool.draws.shape[1] != len(pool)):
        raise DataError(f"The pool's draws are {pool.draws.shape}; expected (t, {len(pool)}, k) with t of 1 or more.")
    if pool.probs is not None and pool.classes and pool.probs.shape[1] != len(pool.classes):
        raise DataError(f"The pool's probs have {pool.probs.shape[1]} columns for {len(pool.classes)} classes.")


def _check_column(pool: Pool, name: str, strategy: str) -> None:
    column: NDArray[np.floating] | None = getattr(pool, name)
    what = {"probs": "predictions", "embeddings": "embeddings", "draws": "draws"}[name]
    if column is None:
        raise DataError(
            f'The strategy "{strategy}" needs a model\'s {what}, and there are none.',
            hint='Train a model with "emolab train", or use --strategy random.',
        )
    across = column[0] if name == "draws" else column
    first = np.asarray(across[pool.candidates, 0]) if across.shape[1] else np.empty(0)
    if not np.isfinite(first).any():
        raise DataError(
            f'The strategy "{strategy}" needs {what}, but all {len(pool.candidates)} candidates have NaN there.',
            hint="Train the model again, or use --strategy random.",
        )


def _check_answer(pool: Pool, n: int, strategy: str, rows: NDArray[np.int64], scores: NDArray[np.float64]) -> None:
    """Hold every strategy, those of plugins too, to the contract."""
    if rows.shape != (n,) or scores.shape != (n,):
        problem = f"{rows.shape} rows and {scores.shape} scores instead of {n} each"
    elif len(np.unique(rows)) != n:
        problem = "a sample twice"
    elif not np.isin(rows, pool.candidates).all():
        problem = "a sample that may not be chosen"
    else:
        return
    raise EmolabError(f'The strategy "{strategy}" returned {problem}.', hint="Report this to the strategy's author.")
