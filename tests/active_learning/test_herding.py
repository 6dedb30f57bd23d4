"""maxherding and uherding: lazy greedy is plain greedy, copies, radius, subsampling and chunks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from emolab.active_learning.selection import herding
from emolab.active_learning.selection import space as reading
from emolab.active_learning.selection.herding import FULL, radius
from emolab.active_learning.selection.pool import Pool
from emolab.active_learning.selection.select import Selection, select
from emolab.active_learning.selection.space import GRID, Space
from emolab.active_learning.selection.thinning import by_checksum


def make_pool(n: int = 400, d: int = 12, *, seed: int = 0, **columns: Any) -> Pool:
    rng = np.random.default_rng(seed)
    middles = rng.normal(size=(20, d))
    points = middles[rng.integers(20, size=n)] + 0.4 * rng.normal(size=(n, d))
    given: dict[str, Any] = {
        "samples": [f"{i:05d}" for i in range(n)],
        "labelled": np.arange(n) < 15,
        "pending": np.zeros(n, dtype=bool),
        "embeddings": points.astype(np.float16),
        "probs": rng.dirichlet(np.full(4, 0.5), n),
        "classes": ("neutral", "happiness", "surprise", "sadness"),
    }
    return Pool(**{**given, **columns})


def ask(pool: Pool, n: int, strategy: str = "maxherding", seed: int = 0) -> Selection:
    return select(pool, n, strategy=strategy, rng=np.random.default_rng(seed))


def directions(points: NDArray[Any]) -> NDArray[np.float64]:
    points = points.astype(np.float64)
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def squared(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(((a[:, None] - b[None]) ** 2).sum(axis=2))


def median_radius(points: NDArray[np.float64]) -> float:
    apart = np.sqrt(squared(points, points))
    apart[apart < 1e-3] = np.inf
    return float(np.median(apart.min(axis=1)))


def plain_greedy(
    points: NDArray[np.float64], known: int, weight: NDArray[np.float64], n: int, step: float
) -> tuple[list[int], list[float]]:
    """All gains of all candidates at every pick, as in the paper; resemblances rounded to ``step`` (0: not at all)."""
    alike = np.exp(-squared(points, points[known:]) / median_radius(points[:known]) ** 2)
    if step:
        alike = np.rint(alike / step) * step
    covered = alike[:known].max(axis=0)
    chosen: list[int] = []
    worth = [float(covered @ weight)]
    for _ in range(n):
        gain = np.maximum(alike - covered, 0) @ weight
        gain[[*range(known), *chosen]] = -1
        chosen.append(int(gain.argmax()))
        covered = np.maximum(covered, alike[chosen[-1]])
        worth.append(float(covered @ weight))
    return chosen, worth


def doubt(probs: NDArray[np.float64]) -> NDArray[np.float64]:
    top = np.sort(probs, axis=1)
    return np.asarray(1 - (top[:, -1] - top[:, -2]))


@pytest.mark.slow
@pytest.mark.parametrize("block", [1, 5, 64])
@pytest.mark.parametrize("strategy", ["maxherding", "uherding"])
@pytest.mark.parametrize("seed", range(4))
def test_it_picks_exactly_what_plain_greedy_picks(
    strategy: str, seed: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(herding, "BLOCK", block)
    pool = make_pool(seed=seed)
    assert pool.embeddings is not None and pool.probs is not None
    steps = Space.over(pool.embeddings, np.arange(len(pool))).steps(slice(None)).astype(np.float64) / GRID
    weight = doubt(pool.probs[15:]) if strategy == "uherding" else np.ones(385)
    wanted, worth = plain_greedy(steps, 15, np.rint(weight * FULL), 60, 1 / FULL)
    batch = ask(pool, 60, strategy)
    assert batch.rows.tolist() == wanted
    np.testing.assert_allclose(batch.scores, np.diff(worth) / np.rint(weight * FULL).sum(), atol=1e-6)
    assert (np.diff(batch.scores) <= 0).all()


@pytest.mark.parametrize("strategy", ["maxherding", "uherding"])
def test_counting_in_steps_costs_nothing_against_double_precision(strategy: str) -> None:
    pool = make_pool(seed=9)
    assert pool.embeddings is not None and pool.probs is not None
    weight = doubt(pool.probs[15:]) if strategy == "uherding" else np.ones(385)
    _, worth = plain_greedy(directions(pool.embeddings), 15, weight, 60, 0)
    batch = ask(pool, 60, strategy)
    assert batch.scores.sum() == pytest.approx((worth[-1] - worth[0]) / weight.sum(), rel=2e-3)


def test_maxherding_is_uherding_with_doubt_everywhere() -> None:
    pool = make_pool(probs=np.full((400, 4), 0.25))
    assert ask(pool, 80, "maxherding").rows.tolist() == ask(pool, 80, "uherding").rows.tolist()


def test_uherding_asks_where_the_model_is_in_doubt() -> None:
    probs = np.tile([0.97, 0.01, 0.01, 0.01], (400, 1))
    probs[200:] = [0.4, 0.4, 0.1, 0.1]
    batch = ask(make_pool(probs=probs, embeddings=np.random.default_rng(1).normal(size=(400, 12))), 30, "uherding")
    assert (batch.rows >= 200).sum() >= 27
    assert batch.reasons[0] == (
        "the model wavers between neutral 40% and happiness 40%, as on others like it that nobody was asked about"
    )


def test_the_densest_region_comes_first_and_each_only_once() -> None:
    degrees = np.deg2rad([0, 4, 8, 120, 124, 128, 132, 136, 240, 300])
    points = np.stack([np.cos(degrees), np.sin(degrees)], axis=1)
    labelled = np.isin(np.arange(10), [9])
    batch = ask(make_pool(10, embeddings=points, labelled=labelled), 3)
    assert batch.rows[0] == 5  # the middle of five
    assert 3 <= batch.rows[0] <= 7 and batch.rows[1] in (0, 1, 2, 8) and batch.rows[2] in (0, 1, 2, 8)
    assert batch.reasons[0] == "many samples that nobody was asked about are like it"


def test_the_radius_is_the_median_and_copies_do_not_bring_it_to_nothing() -> None:
    degrees = np.deg2rad([0, 0, 0, 10, 30, 90])
    space = Space.over(np.stack([np.cos(degrees), np.sin(degrees)], axis=1), np.arange(6))
    ten, twenty, sixty = (2 * np.sin(np.deg2rad(angle) / 2) for angle in (10, 20, 60))
    wanted = np.median([ten, ten, ten, ten, twenty, sixty])
    assert radius(space) == pytest.approx(wanted, rel=5e-3)


@pytest.mark.parametrize("points", [np.zeros((0, 3)), np.ones((1, 3)), np.ones((5, 3)), np.full((4, 3), np.nan)])
def test_without_two_different_known_samples_the_radius_is_one(points: NDArray[np.float64]) -> None:
    assert radius(Space.over(points, np.arange(len(points)))) == 1.0


def test_a_radius_from_part_of_the_known_samples_is_near_that_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    space = Space.over(np.random.default_rng(0).normal(size=(600, 8)), np.arange(600))
    whole = radius(space)
    monkeypatch.setattr(herding, "ASKED", 200)
    assert radius(space) == pytest.approx(whole, rel=0.1)
    assert radius(space) != whole


def test_copies_of_a_pick_come_when_nothing_else_is_left() -> None:
    points = np.repeat(np.random.default_rng(0).normal(size=(20, 6)), 5, axis=0)
    nobody = np.zeros(100, dtype=bool)
    batch = ask(make_pool(100, embeddings=points, labelled=nobody), 40)
    assert len(set(batch.rows[:20] // 5)) == 20
    assert batch.rows[20:].tolist() == [row for row in range(100) if row not in batch.rows[:20]][:20]
    assert (batch.scores[20:] == 0).all()


def test_a_large_pool_is_represented_by_the_same_samples_in_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(herding, "LIMIT", 100)
    pool = make_pool(600)
    order = np.random.default_rng(1).permutation(600)
    assert pool.embeddings is not None
    moved = make_pool(
        600,
        samples=[pool.samples[row] for row in order],
        labelled=pool.labelled[order],
        pending=pool.pending[order],
        embeddings=pool.embeddings[order],
    )
    wanted = ask(pool, 30).samples
    assert ask(moved, 30, seed=5).samples == wanted
    stands = {pool.samples[row] for row in pool.candidates[by_checksum(pool.samples, pool.candidates)[:100]]}
    assert set(wanted) <= stands
    assert len(ask(pool, 250).samples) == 250  # more than stand for the pool


def test_samples_that_stand_for_the_pool_cover_it_nearly_as_well_as_all(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = make_pool(2000, seed=3)
    whole = ask(pool, 60)
    assert pool.embeddings is not None
    monkeypatch.setattr(herding, "LIMIT", 500)
    part = ask(pool, 60)
    points = directions(pool.embeddings)

    def worth(rows: NDArray[np.int64]) -> float:
        apart = squared(points, points[np.concatenate([np.arange(15), rows])]).min(axis=1)
        return float(np.exp(-apart / median_radius(points[:15]) ** 2).mean())

    drawn = np.random.default_rng(0).choice(np.arange(15, 2000), 60, replace=False)
    assert worth(part.rows) > 0.93 * worth(whole.rows)
    assert worth(whole.rows) - worth(part.rows) < 0.4 * (worth(whole.rows) - worth(drawn))


@pytest.mark.parametrize("strategy", ["maxherding", "uherding"])
def test_the_size_of_chunks_changes_nothing(strategy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = make_pool(700, 30)
    wanted = ask(pool, 50, strategy)
    monkeypatch.setattr(reading, "CHUNK", 13)
    monkeypatch.setattr(herding, "BLOCK", 9)
    again = ask(pool, 50, strategy)
    assert again.rows.tolist() == wanted.rows.tolist()
    assert again.scores.tolist() == wanted.scores.tolist()
