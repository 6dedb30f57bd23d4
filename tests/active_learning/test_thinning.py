"""Of a pool too large to look at, a fair part stands for all."""

from __future__ import annotations

import numpy as np
import pytest

from emolab.active_learning.selection.pool import Pool
from emolab.active_learning.selection.select import select
from emolab.active_learning.selection.thinning import thin


def make_pool(n: int = 1000, order: np.ndarray | None = None) -> Pool:
    order = np.arange(n) if order is None else order
    points = np.random.default_rng(0).normal(size=(n, 8))
    return Pool(
        samples=[f"{i:05d}" for i in order],
        labelled=order < 10,
        pending=order == 10,
        excluded=order == 11,
        embeddings=points[order],
        probs=np.full((n, 2), 0.5),
    )


def names(pool: Pool) -> set[str]:
    return {pool.samples[row] for row in pool.candidates}


def test_the_same_samples_stay_in_any_order_and_more_of_them_contain_the_fewer() -> None:
    pool, moved = make_pool(), make_pool(order=np.random.default_rng(1).permutation(1000))
    few, more = thin(pool, 100), thin(pool, 300)
    assert len(few.candidates) == 100
    assert names(few) == names(thin(moved, 100))
    assert names(few) < names(more) < names(pool)
    assert few.known.tolist() == pool.known.tolist()


def test_a_small_pool_stays_as_it_is() -> None:
    pool = make_pool()
    assert thin(pool, len(pool.candidates)) is pool


def test_the_part_is_fair() -> None:
    rows = thin(make_pool(20_000), 2_000).candidates
    by_tenth = np.bincount(rows // 2_000, minlength=10)
    assert by_tenth.min() > 150 and by_tenth.max() < 250


def test_strategies_that_read_embeddings_see_the_part_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emolab.active_learning.selection.select.MOST", 200)
    pool = make_pool()
    part = names(thin(pool, 200))
    batch = select(pool, 50, strategy="coreset", rng=np.random.default_rng(0))
    assert set(batch.samples) <= part
    assert batch.note == "200 of 988 candidates stood for all."
    everywhere = select(pool, 50, strategy="random", rng=np.random.default_rng(0))
    assert not set(everywhere.samples) <= part and everywhere.note == ""
    assert len(select(pool, 500, strategy="coreset", rng=np.random.default_rng(0)).samples) == 500
