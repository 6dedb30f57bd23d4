"""Held against independent implementations of the same papers: scikit-activeml and modAL.

Where an algorithm leaves no freedom, picks must be the same; where it draws, what it leaves must have the same spread.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from emolab.active_learning.selection.herding import radius
from emolab.active_learning.selection.pool import Pool
from emolab.active_learning.selection.select import select
from emolab.active_learning.selection.space import GRID, Space
from emolab.active_learning.strategies.badge import select as badge
from emolab.active_learning.strategies.bald import mutual_information

pytestmark = pytest.mark.filterwarnings("ignore::Warning:skactiveml", "ignore::DeprecationWarning:skorch")

pool_based = pytest.importorskip("skactiveml.pool", reason="scikit-activeml is not installed")


def pool_of(n: int, *, labelled: int = 0, **columns: Any) -> Pool:
    return Pool(
        samples=[f"{i:06d}" for i in range(n)],
        labelled=np.arange(n) < labelled,
        pending=np.zeros(n, dtype=bool),
        **columns,
    )


def ask(pool: Pool, n: int, strategy: str, seed: int = 0) -> list[int]:
    return select(pool, n, strategy=strategy, rng=np.random.default_rng(seed)).rows.tolist()


def blobs(n: int, kinds: int, seed: int, *, d: int = 12, spread: float = 0.4) -> NDArray[np.float32]:
    """Directions (n, d) around ``kinds`` of them, of length 1."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(kinds, d))[rng.integers(kinds, size=n)] + spread * rng.normal(size=(n, d))
    return np.asarray(points / np.linalg.norm(points, axis=1, keepdims=True), dtype=np.float32)


def partly_labelled(n: int, labelled: int) -> NDArray[np.float64]:
    """Labels as scikit-activeml takes them: NaN for none."""
    return np.where(np.arange(n) < labelled, np.arange(n) % 3, np.nan)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_coreset_picks_what_scikit_activeml_picks(seed: int) -> None:
    points = blobs(600, 15, seed)
    theirs = pool_based.CoreSet(random_state=0).query(points, partly_labelled(600, 10), batch_size=60)
    assert ask(pool_of(600, labelled=10, embeddings=points), 60, "coreset") == theirs.tolist()


@pytest.mark.parametrize("labelled", [0, 12, 40])
def test_maxherding_picks_what_scikit_activeml_picks_with_the_same_radius(labelled: int) -> None:
    points = blobs(700, 25, seed=labelled)
    rounded = Space.over(points, np.arange(700)).steps(slice(None)) / GRID
    width = radius(Space.over(points, np.arange(labelled)))
    kernel = {"metric": "rbf", "metric_dict": {"gamma": 1 / width**2}, "normalize_samples": False}
    theirs = pool_based.MaxHerding(**kernel, random_state=0)
    wanted = theirs.query(rounded, partly_labelled(700, labelled), batch_size=50).tolist()
    assert ask(pool_of(700, labelled=labelled, embeddings=points), 50, "maxherding") == wanted


def test_typiclust_picks_what_scikit_activeml_picks_where_clusters_leave_no_doubt() -> None:
    """Ten heaps of different sizes far apart; the labelled samples lie in three of them."""
    rng = np.random.default_rng(4)
    heap = np.concatenate([np.arange(3), np.repeat(np.arange(10), np.arange(30, 60, 3))])
    points = 10 * np.eye(10)[heap] + rng.normal(size=(len(heap), 10))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    theirs = pool_based.TypiClust(random_state=0, k=20, cluster_algo_dict={"n_init": 10})
    wanted = theirs.query(points, partly_labelled(len(heap), 3), batch_size=7).tolist()
    assert sorted(heap[wanted]) == list(range(3, 10))
    assert ask(pool_of(len(heap), labelled=3, embeddings=points), 7, "typiclust") == wanted


METHODS = {
    "least_confidence": ("classifier_uncertainty", "least_confident"),
    "margin": ("classifier_margin", "margin_sampling"),
    "entropy": ("classifier_entropy", "entropy"),
}


class Oracle:
    """A classifier that answers what it was given, which is how modAL takes predictions."""

    def predict_proba(self, probs: NDArray[np.float64]) -> NDArray[np.float64]:
        return probs


@pytest.mark.parametrize("strategy", METHODS)
def test_uncertainty_is_that_of_scikit_activeml_and_of_modal(strategy: str) -> None:
    probs = np.random.default_rng(1).dirichlet([0.6] * 7, 500)
    pool, name, method = pool_of(500, probs=probs), *METHODS[strategy]
    batch = select(pool, 500, strategy=strategy, rng=np.random.default_rng(0))
    scores = np.empty(500)
    scores[batch.rows] = batch.scores
    scale = np.log(7) if strategy == "entropy" else 1.0
    theirs = pool_based.uncertainty_scores(probs, method=method)
    assert scores * scale == pytest.approx(theirs, abs=1e-9)
    assert batch.rows.tolist() == np.argsort(-theirs, kind="stable").tolist()
    uncertainty = pytest.importorskip("modAL.uncertainty", reason="modAL is not installed")
    others = getattr(uncertainty, name)(Oracle(), probs)
    assert scores * scale == pytest.approx(1 - others if strategy == "margin" else others, abs=1e-9)


def test_bald_scores_are_those_of_scikit_activeml() -> None:
    draws = np.random.default_rng(2).dirichlet([0.6] * 5, (8, 300))
    theirs = pool_based.batch_bald(draws, batch_size=1, random_state=0)[0]
    assert mutual_information(draws) * np.log(5) == pytest.approx(theirs, abs=1e-6)
    assert ask(pool_of(300, draws=draws), 50, "bald") == np.argsort(-theirs, kind="stable")[:50].tolist()


def plain_k_means_plus_plus(gradients: NDArray[np.float64], n: int, rng: np.random.Generator) -> list[int]:
    """One draw after another, by distances that are all up to date; the longest first."""
    picked = [int((gradients**2).sum(axis=1).argmax())]
    nearest = ((gradients - gradients[picked[0]]) ** 2).sum(axis=1)
    while len(picked) < n:
        picked.append(int(rng.choice(len(gradients), p=nearest / nearest.sum())))
        nearest = np.minimum(nearest, ((gradients - gradients[picked[-1]]) ** 2).sum(axis=1))
    return picked


@pytest.mark.slow
def test_badge_leaves_what_plain_k_means_plus_plus_leaves_and_random_does_not() -> None:
    rng = np.random.default_rng(3)
    points = blobs(2000, 40, seed=3, d=10, spread=0.2)
    logits = 6 * points @ rng.normal(size=(10, 4))
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    errors = probs - np.eye(4)[probs.argmax(axis=1)]
    gradients = (errors[:, :, None] * points[:, None, :].astype(np.float64)).reshape(2000, -1)
    square = (gradients**2).sum(axis=1)

    def potential(rows: Any) -> float:
        centers = gradients[rows]
        apart = square[:, None] + (centers**2).sum(axis=1) - 2 * gradients @ centers.T
        return float(apart.min(axis=1).sum())

    pool = pool_of(2000, embeddings=points, probs=probs)
    ours = [potential(badge(pool, 40, np.random.default_rng(seed)).rows) for seed in range(80)]
    plain = [potential(plain_k_means_plus_plus(gradients, 40, np.random.default_rng(seed))) for seed in range(80, 160)]
    random = [potential(rng.choice(2000, 40, replace=False)) for _ in range(80)]
    assert stats.mannwhitneyu(ours, plain).pvalue > 0.001
    assert np.mean(ours) == pytest.approx(np.mean(plain), rel=0.02)
    assert stats.mannwhitneyu(ours, random).pvalue < 1e-6
