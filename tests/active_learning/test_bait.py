"""BAIT: rank-one updates pick what inverting the matrix for every candidate picks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from emolab.active_learning.selection import space
from emolab.active_learning.selection.pool import Picks, Pool
from emolab.active_learning.strategies import bait


def pool_of(n: int, seed: int, *, labelled: int = 0, scale: float = 1.0, **columns: Any) -> Pool:
    rng = np.random.default_rng(seed)
    given: dict[str, Any] = {
        "labelled": np.arange(n) < labelled,
        "pending": np.zeros(n, dtype=bool),
        "probs": rng.dirichlet([0.8] * 3, n).astype(np.float32),
        "embeddings": scale * rng.normal(size=(n, 5)).astype(np.float32) * [3, 2, 1, 1, 0.2],
        "classes": ("fear", "surprise", "anger"),
    }
    return Pool(samples=[f"{i:04d}" for i in range(n)], **{**given, **columns})


def ask(pool: Pool, n: int) -> Picks:
    return bait.select(pool, n, np.random.default_rng(0))


def inverted(pool: Pool, n: int) -> tuple[list[int], list[float]]:
    """The same choice, every trace from scratch: rows that stay, and the share each took when it was picked."""
    assert pool.probs is not None and pool.embeddings is not None
    first = pool.probs.max(axis=1).astype(np.float64)
    x = pool.embeddings.astype(np.float64)
    x /= np.sqrt((x**2).sum(axis=1).mean())
    x *= np.sqrt(first * (1 - first))[:, None]
    fisher = x.T @ x / len(x)

    def left(rows: list[int]) -> float:
        m = 0.01 * np.eye(x.shape[1]) + x[rows].T @ x[rows] / (len(known) + n)
        return float(np.trace(np.linalg.inv(m) @ fisher))

    known = np.flatnonzero(pool.labelled).tolist()
    picked: list[int] = []
    share = {}
    for _ in range(2 * n):
        free = [row for row in range(len(x)) if row not in known and row not in picked]
        row = min(free, key=lambda row: left([*known, *picked, row]))
        share[row] = 1 - left([*known, *picked, row]) / left(known + picked)
        picked.append(row)
    while len(picked) > n:
        without = {row: left(known + [other for other in picked if other != row]) for row in picked}
        picked.remove(min(without, key=lambda row: without[row]))
    return picked, [share[row] for row in picked]


#: Relative differences allowed between shares: embeddings are kept in single precision (eps 1.2e-7), everything that
#: decides is done in double; measured 1.3e-6 at most.
CLOSE = 1e-5


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("labelled", [0, 12])
def test_rank_one_updates_pick_what_inverting_for_every_candidate_picks(seed: int, labelled: int) -> None:
    pool = pool_of(60, seed, labelled=labelled)
    rows, shares = inverted(pool, 8)
    picks = ask(pool, 8)
    assert picks.rows.tolist() == rows
    assert picks.scores == pytest.approx(shares, rel=CLOSE)


@pytest.mark.parametrize("seed", range(6))
def test_another_processor_s_rounding_changes_neither_picks_nor_scores(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What single precision summed in another order may do to gains, five times as strong; with copies, which tie."""
    single = pool_of(60, seed)
    assert single.probs is not None and single.embeddings is not None
    both: dict[str, NDArray[Any]] = {
        name: np.repeat(getattr(single, name), 3, axis=0) for name in ("probs", "embeddings")
    }
    pool = pool_of(180, seed, **both)
    expected = ask(pool, 16)
    change, rng = bait._State.change, np.random.default_rng(seed)

    def noisily(state: bait._State, x: NDArray[np.float32], row: int, sign: int, *kept: NDArray[np.float64]) -> None:
        change(state, x, row, sign, *kept)
        for values, exact in zip(kept, state.measure(x), strict=True):
            values[:] = exact * (1 + (1e-3 if sign > 0 else 1e-6) * rng.uniform(-1, 1, len(exact)))

    monkeypatch.setattr(bait._State, "change", noisily)
    picks = ask(pool, 16)
    assert picks.rows.tolist() == expected.rows.tolist()
    assert picks.scores == pytest.approx(expected.scores, rel=CLOSE)


@pytest.mark.parametrize("scale", [1e-3, 37.0, 1e4])
def test_the_scale_of_the_embeddings_changes_nothing(scale: float) -> None:
    assert (
        ask(pool_of(300, 1, labelled=20, scale=scale), 30).rows.tolist()
        == ask(pool_of(300, 1, labelled=20), 30).rows.tolist()
    )


def test_what_is_labelled_already_is_not_asked_again() -> None:
    """Two directions, one of them labelled 50 times: the other is worth more."""
    directions = np.eye(2)[[0] * 60 + [1] * 10].astype(np.float32)
    labelled = np.zeros(70, dtype=bool)
    labelled[:50] = True
    pool = pool_of(70, 0, labelled=0, embeddings=directions, probs=np.full((70, 2), 0.5, dtype=np.float32))
    assert (ask(replace(pool, labelled=labelled), 5).rows >= 60).all()
    assert (ask(pool, 5).rows < 60).sum() >= 3


def test_copies_are_taken_in_turn_with_others() -> None:
    single = pool_of(15, 3)
    assert single.probs is not None and single.embeddings is not None
    many: dict[str, NDArray[Any]] = {
        "probs": np.repeat(single.probs, 20, axis=0),
        "embeddings": np.repeat(single.embeddings, 20, axis=0),
    }
    picks = ask(pool_of(300, 0, **many), 5)
    assert len(set((picks.rows // 20).tolist())) >= 4


def test_of_many_candidates_those_with_small_margins_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = pool_of(400, 5)
    assert pool.probs is not None
    monkeypatch.setattr(bait, "MOST", 40)
    top = np.sort(pool.probs, axis=1)
    small = np.argsort(top[:, -1] - top[:, -2])[:40]
    assert set(ask(pool, 10).rows.tolist()) <= set(small.tolist())


def test_the_size_of_chunks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = pool_of(300, 6, labelled=10)
    whole = ask(pool, 40)
    monkeypatch.setattr(bait, "CHUNK", 7)
    monkeypatch.setattr(space, "CHUNK", 11)
    assert ask(pool, 40).rows.tolist() == whole.rows.tolist()


def test_the_reason_says_what_it_is_good_for_and_what_the_model_says() -> None:
    picks = ask(pool_of(50, 7), 3)
    assert picks.reasons[0].startswith("would teach the model most about the rest; the model ")
    assert "%" in picks.reasons[0]
