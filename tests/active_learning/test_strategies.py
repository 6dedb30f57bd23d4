"""What each strategy prefers, and how it says why."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from emolab.active_learning.selection import space
from emolab.active_learning.selection.pool import Pool
from emolab.active_learning.selection.ranking import best
from emolab.active_learning.selection.select import select
from emolab.active_learning.strategies import coreset

PROBS = np.array(
    [
        [0.98, 0.01, 0.01],  # ann: sure
        [0.48, 0.47, 0.05],  # bob: torn between two
        [0.35, 0.33, 0.32],  # cho: no idea
        [0.60, 0.20, 0.20],  # dee: rather sure
    ]
)


def ask(strategy: str, n: int = 4) -> list[tuple[str, str]]:
    nobody = np.zeros(4, dtype=bool)
    pool = Pool(
        samples=["ann", "bob", "cho", "dee"],
        labelled=nobody,
        pending=nobody,
        probs=PROBS,
        classes=("fear", "surprise", "anger"),
    )
    batch = select(pool, n, strategy=strategy, rng=np.random.default_rng(0))
    return list(zip(batch.samples, batch.reasons, strict=True))


def test_margin_prefers_the_torn_one_and_says_between_what() -> None:
    assert [name for name, _ in ask("margin")] == ["bob", "cho", "dee", "ann"]
    assert ask("margin")[0][1] == "the model wavers between fear 48% and surprise 47%"


def test_entropy_prefers_the_undecided_one() -> None:
    assert [name for name, _ in ask("entropy")] == ["cho", "dee", "bob", "ann"]
    assert ask("entropy")[0][1] == "the model is undecided among about 3 classes: fear 35%, surprise 33%, anger 32%"


def test_least_confidence_looks_at_the_top_class_only() -> None:
    assert [name for name, _ in ask("least_confidence")] == ["cho", "bob", "dee", "ann"]
    assert ask("least_confidence")[0][1] == "the model is unsure: its best guess is fear 35%"


def test_random_ignores_the_model_and_follows_the_generator() -> None:
    nobody = np.zeros(1000, dtype=bool)
    pool = Pool(samples=[f"{i:04d}" for i in range(1000)], labelled=nobody, pending=nobody)
    first = select(pool, 100, strategy="random", rng=np.random.default_rng(1)).rows
    second = select(pool, 100, strategy="random", rng=np.random.default_rng(2)).rows
    assert len(set(first) & set(second)) < 30


def test_best_puts_the_highest_first_ties_by_position_and_nan_last() -> None:
    scores = np.array([0.1, np.nan, 0.9, 0.5, 0.5, 0.9])
    assert best(scores, 6).tolist() == [2, 5, 3, 4, 0, 1]
    assert best(scores, 3).tolist() == [2, 5, 3]
    assert best(np.full(5, np.nan), 2).tolist() == [0, 1]


def naive_k_center(points: NDArray[np.float64], centers: list[int], n: int) -> list[int]:
    """Greedy k-center as in the paper: one pass over everything per pick."""
    units = points / np.linalg.norm(points, axis=1, keepdims=True)
    nearest = np.full(len(units), np.inf)
    chosen = list(centers)
    for center in centers:
        nearest = np.minimum(nearest, ((units - units[center]) ** 2).sum(axis=1))
    for _ in range(n):
        nearest[chosen] = -1
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, ((units - units[chosen[-1]]) ** 2).sum(axis=1))
    return chosen[len(centers) :]


def embeddings(kind: str, n: int, d: int, seed: int) -> NDArray[np.float16]:
    rng = np.random.default_rng(seed)
    if kind == "even":
        return rng.normal(size=(n, d)).astype(np.float16)
    middles = rng.normal(size=(30, d))
    return (middles[rng.integers(30, size=n)] + 0.3 * rng.normal(size=(n, d))).astype(np.float16)


def coreset_pool(points: NDArray[np.float16], centers: int) -> Pool:
    labelled = np.arange(len(points)) < centers
    return Pool(
        samples=[f"{i:06d}" for i in range(len(points))],
        labelled=labelled,
        pending=np.zeros(len(points), dtype=bool),
        embeddings=points,
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["even", "clustered"])
@pytest.mark.parametrize("block", [1, 7, 2048])
def test_coreset_picks_exactly_what_plain_greedy_picks(kind: str, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coreset, "BLOCK", block)
    monkeypatch.setattr(space, "CHUNK", 500)
    points = embeddings(kind, 3000, 24, seed=7)
    wanted = naive_k_center(points.astype(np.float64), list(range(10)), 150)
    batch = select(coreset_pool(points, 10), 150, strategy="coreset", rng=np.random.default_rng(0))
    assert batch.rows.tolist() == wanted


def test_coreset_reads_the_pool_about_twice_for_a_hundred_picks(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    chunks = space._chunks

    def counted(values: NDArray[np.floating], rows: NDArray[np.int64]) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        read.append(len(rows))
        return chunks(values, rows)

    monkeypatch.setattr(space, "_chunks", counted)
    pool = coreset_pool(embeddings("clustered", 20_000, 24, seed=7), 10)
    select(pool, 100, strategy="coreset", rng=np.random.default_rng(0))
    assert len(pool.candidates) < sum(read) < 2.5 * len(pool.candidates)


def test_coreset_scores_fall_and_are_distances_to_the_nearest_known() -> None:
    batch = select(
        coreset_pool(embeddings("even", 400, 8, seed=1), 5), 50, strategy="coreset", rng=np.random.default_rng(0)
    )
    assert (np.diff(batch.scores) <= 1e-6).all()
    assert batch.reasons[0] == "unlike anything labelled or chosen so far"


def test_coreset_starts_in_the_middle_when_nothing_is_labelled() -> None:
    angles = np.array([0.0, 0.2, 0.4, 0.6, 0.8])
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    batch = select(coreset_pool(points, 0), 3, strategy="coreset", rng=np.random.default_rng(0))
    assert batch.rows.tolist() == [2, 0, 4]
    assert batch.reasons[0] == "the most typical of all: nothing is labelled yet"


def test_coreset_reads_memory_mapped_half_precision(tmp_path: Path) -> None:
    points = embeddings("clustered", 500, 16, seed=2)
    np.save(tmp_path / "embeddings.npy", points)
    mapped = np.load(tmp_path / "embeddings.npy", mmap_mode="r")
    one = select(coreset_pool(mapped, 3), 20, strategy="coreset", rng=np.random.default_rng(0))
    two = select(coreset_pool(points, 3), 20, strategy="coreset", rng=np.random.default_rng(0))
    assert one.samples == two.samples
