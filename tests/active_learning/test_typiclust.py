"""K-means over directions, and the typical samples of clusters nobody has looked at."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from emolab.active_learning.selection import space as reading
from emolab.active_learning.selection.clusters import assign, kmeans
from emolab.active_learning.selection.pool import Pool
from emolab.active_learning.selection.select import Selection, select
from emolab.active_learning.selection.space import GRID, Space


def circle(*degrees: float) -> NDArray[np.float32]:
    """Points of length 1 at these angles."""
    angles = np.deg2rad(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def heaps(n: int = 1200, d: int = 24, k: int = 12, seed: int = 0) -> tuple[NDArray[np.float16], NDArray[np.int64]]:
    """Points in ``k`` heaps far apart, and which heap each is in."""
    rng = np.random.default_rng(seed)
    heap = rng.integers(k, size=n)
    return (3 * rng.normal(size=(k, d))[heap] + 0.3 * rng.normal(size=(n, d))).astype(np.float16), heap


def pool_of(points: NDArray[np.floating], *labelled: int) -> Pool:
    return Pool(
        samples=[f"{i:06d}" for i in range(len(points))],
        labelled=np.isin(np.arange(len(points)), labelled),
        pending=np.zeros(len(points), dtype=bool),
        embeddings=points,
    )


def ask(pool: Pool, n: int, seed: int = 0) -> Selection:
    return select(pool, n, strategy="typiclust", rng=np.random.default_rng(seed))


def test_kmeans_finds_the_heaps() -> None:
    points, heap = heaps()
    space = Space.over(points, np.arange(len(points)))
    label = assign(space, kmeans(space, 12, np.random.default_rng(0)))
    assert len(set(zip(heap, label, strict=True))) == 12


def test_kmeans_is_the_same_for_any_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    points = np.random.default_rng(3).normal(size=(900, 40))
    space = Space.over(points, np.arange(900))
    wanted = kmeans(space, 30, np.random.default_rng(1))
    monkeypatch.setattr(reading, "CHUNK", 11)
    assert (kmeans(space, 30, np.random.default_rng(1)) == wanted).all()


def test_fewer_different_points_than_clusters_make_fewer_clusters() -> None:
    points = circle(0, 0, 0, 90, 90, 200)
    space = Space.over(points, np.arange(6))
    centers = kmeans(space, 5, np.random.default_rng(0))
    assert len(centers) == 3
    label = assign(space, centers)
    assert label[0] == label[1] == label[2] and label[3] == label[4] and len(set(label)) == 3


def test_points_that_cannot_be_used_are_in_no_cluster() -> None:
    points = circle(0, 5, 90, 95)
    points[1] = np.nan
    space = Space.over(points, np.arange(4))
    label = assign(space, kmeans(space, 2, np.random.default_rng(0)))
    assert label[1] == -1 and label[2] == label[3] != label[0]


def test_the_middle_of_the_largest_cluster_nobody_was_asked_about_comes_first() -> None:
    crowd, covered, few = (0, 3, 6, 9, 12), (120, 121, 122, 123, 124, 125, 126), (240, 241, 242, 243, 245, 248, 249)
    batch = ask(pool_of(circle(*crowd, *covered, *few), 5), 2)  # "labelled" is the sample at 120 degrees
    assert batch.rows.tolist() == [15, 2]  # 243 degrees and 6 degrees
    assert batch.reasons == [
        "typical of 7 samples that are alike, none asked about so far",
        "typical of 5 samples that are alike, none asked about so far",
    ]


def test_clusters_of_fewer_than_five_come_last() -> None:
    batch = ask(pool_of(circle(0, 1, 2, 3, 4, 5, 120, 121, 122, 123), 0), 2)
    assert all(row < 6 for row in batch.rows)
    assert batch.reasons[1] == "typical of 5 samples that are alike, 2 asked about so far"


def test_few_candidates_beside_many_labels_still_stand_for_others() -> None:
    """300 of 400 are labelled: clusters as many as labels would hold one candidate each, and typical of nothing."""
    points, _ = heaps(400, k=4)
    picks = ask(pool_of(points, *range(300)), 10)
    assert len(picks.rows) == 10
    assert (picks.scores > 0).all()
    assert all("typical" in reason for reason in picks.reasons)


def test_a_copy_is_not_picked_while_its_cluster_has_anything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emolab.active_learning.strategies.typiclust.CLUSTERS", 1)
    batch = ask(pool_of(circle(0, 0, 0, 0, 0, 0, 8, 9, 10)), 4)
    assert sorted(batch.rows[:4]) == [0, 6, 7, 8]


@pytest.mark.parametrize("members", [1, 40, 10_000])
def test_neighbours_may_be_looked_for_among_a_part_of_the_cluster(
    members: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emolab.active_learning.strategies.typiclust.MEMBERS", members)
    points, heap = heaps()
    batch = ask(pool_of(points), 12)
    assert sorted(heap[batch.rows]) == list(range(12))


@pytest.mark.parametrize("chunk", [7, 100])
def test_the_size_of_chunks_changes_nothing(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    points = np.random.default_rng(5).normal(size=(700, 30)).astype(np.float16)
    wanted = ask(pool_of(points, 3, 4), 40)
    monkeypatch.setattr(reading, "CHUNK", chunk)
    again = ask(pool_of(points, 3, 4), 40)
    assert again.rows.tolist() == wanted.rows.tolist()
    assert again.scores.tolist() == wanted.scores.tolist()


def test_directions_in_steps_are_whole_and_their_products_exact() -> None:
    points = np.random.default_rng(0).normal(size=(64, 512)).astype(np.float16)
    steps = Space.over(points, np.arange(64)).steps(slice(None))
    assert (steps == np.rint(steps)).all()
    assert np.abs(np.linalg.norm(steps, axis=1) / GRID - 1).max() < 0.01
    assert (steps @ steps.T == steps.astype(np.float64) @ steps.T.astype(np.float64)).all()


THREADS = """
import json, sys
import numpy as np
from emolab.active_learning.selection.pool import Pool
from emolab.active_learning.selection.select import select
points = np.random.default_rng(5).normal(size=(3000, 64)).astype(np.float32)
labelled = np.arange(3000) < 20
pool = Pool(samples=[f"{i:05d}" for i in range(3000)], labelled=labelled, pending=np.zeros(3000, dtype=bool),
            probs=np.random.default_rng(6).dirichlet(np.ones(4), 3000), embeddings=points)
batch = select(pool, 60, strategy=sys.argv[1], rng=np.random.default_rng(0))
print(json.dumps([batch.rows.tolist(), batch.scores.tolist()]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["typiclust", "maxherding", "uherding"])
def test_the_number_of_threads_changes_nothing_not_even_the_scores(strategy: str) -> None:
    answers = []
    for threads in ("1", "3"):
        counts = {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
        done = subprocess.run(
            [sys.executable, "-c", THREADS, strategy], env={**os.environ, **counts}, capture_output=True, check=True
        )
        answers.append(json.loads(done.stdout))
    assert answers[0] == answers[1]
