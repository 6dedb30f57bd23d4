"""Cluster-margin: small margins, but not the same one over and over."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from emolab.active_learning.selection import space
from emolab.active_learning.selection.pool import Picks, Pool
from emolab.active_learning.strategies import cluster_margin, margin


def pool_of(probs: NDArray[Any], embeddings: NDArray[Any]) -> Pool:
    nobody = np.zeros(len(probs), dtype=bool)
    return Pool(
        samples=[f"{i:04d}" for i in range(len(probs))],
        labelled=nobody,
        pending=nobody,
        probs=probs,
        embeddings=embeddings,
        classes=("fear", "surprise", "anger"),
    )


def some(n: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float16]]:
    rng = np.random.default_rng(seed)
    return rng.dirichlet([0.8] * 3, n).astype(np.float32), rng.normal(size=(n, 8)).astype(np.float16)


def ask(pool: Pool, n: int, seed: int = 0) -> Picks:
    return cluster_margin.select(pool, n, np.random.default_rng(seed))


def test_twenty_copies_of_everything_do_not_fill_the_batch_as_they_do_with_margin() -> None:
    probs, embeddings = some(60, seed=0)
    pool = pool_of(np.repeat(probs, 20, axis=0), np.repeat(embeddings, 20, axis=0))
    different = len(set((ask(pool, 30).rows // 20).tolist()))
    alone = margin.select(pool, 30, np.random.default_rng(0))
    assert len(set((alone.rows // 20).tolist())) == 2
    assert different >= 15  # 300 are clustered, which is 15 different ones: all of them


def test_the_middle_of_each_group_is_picked_smallest_margin_first() -> None:
    places = np.array([0.0, 0.1, 0.2, 1.5, 1.6, 1.7, 3.0, 3.1, 3.2])
    embeddings = np.stack([np.cos(places), np.sin(places)], axis=1)
    gap = np.repeat([0.3, 0.1, 0.2], 3)[:, None]
    probs = np.hstack([0.5 + gap / 2, 0.5 - gap / 2, np.zeros_like(gap)])
    picks = ask(pool_of(probs, embeddings), 3)
    assert picks.rows.tolist() == [4, 7, 1]
    assert picks.scores == pytest.approx([0.9, 0.8, 0.7])
    assert picks.reasons[0] == "the model wavers between fear 55% and surprise 45%, as on 2 similar ones"


def test_only_the_smallest_margins_are_clustered() -> None:
    probs, embeddings = some(500, seed=1)
    top = np.sort(probs, axis=1)
    small = np.argsort(top[:, -1] - top[:, -2], kind="stable")[:100]
    assert set(ask(pool_of(probs, embeddings), 10).rows.tolist()) <= set(small.tolist())


def test_with_fewer_kinds_than_asked_for_the_smallest_margins_fill_up() -> None:
    probs, embeddings = some(40, seed=2)
    embeddings[:] = embeddings[0]
    picks = ask(pool_of(probs, embeddings), 10)
    top = np.sort(probs, axis=1)
    order = np.argsort(top[:, -1] - top[:, -2], kind="stable").tolist()
    assert picks.rows[1:].tolist() == [row for row in order if row != picks.rows[0]][:9]
    assert picks.reasons[1].endswith(", as on one chosen before")


def test_what_has_no_prediction_or_embedding_comes_last_and_says_which() -> None:
    probs, embeddings = some(20, seed=3)
    probs[3], embeddings[7] = np.nan, np.nan
    picks = ask(pool_of(probs, embeddings), 20)
    assert set(picks.rows[-2:].tolist()) == {3, 7}
    assert picks.reasons[-2:] == ["the model gave no prediction for it", "the model gave no usable embedding for it"]


def test_the_size_of_chunks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = pool_of(*some(700, seed=4))
    whole = ask(pool, 40)
    monkeypatch.setattr(space, "CHUNK", 13)
    assert ask(pool, 40).rows.tolist() == whole.rows.tolist()
