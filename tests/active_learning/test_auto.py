"""The default strategy: what it decides on, and what it says about it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from emolab.active_learning.selection.pool import Pool
from emolab.active_learning.selection.replay import RoundReplay, neighbour_purity, replay
from emolab.active_learning.selection.select import select
from emolab.active_learning.simulation.frozen_trainer import principal
from emolab.active_learning.strategies import auto
from emolab.active_learning.strategies.auto import LATER, PRIOR, choose, verdict
from emolab.stats import logistic

K = 4


def faces(n: int, *, apart: float, seed: int = 0) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Embeddings (n, 12) and classes (n,): four clouds, so far ``apart`` in units of their width."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(K, 12))
    truth = rng.choice(K, n, p=[0.5, 0.3, 0.15, 0.05])
    return centres[truth] * apart + rng.normal(size=(n, 12)), truth


def make_pool(n: int, labelled: int, *, apart: float = 1.5, seed: int = 0) -> Pool:
    embeddings, truth = faces(n, apart=apart, seed=seed)
    known = np.zeros(n, dtype=bool)
    known[np.random.default_rng(seed).permutation(n)[:labelled]] = True
    targets = np.where(known[:, None], np.eye(K)[truth], np.nan)
    solved, _ = logistic.solve(embeddings[known], np.eye(K)[truth[known]])
    return Pool(
        samples=[f"{row:05d}" for row in range(n)],
        labelled=known,
        pending=np.zeros(n, dtype=bool),
        probs=solved.probabilities(embeddings),
        embeddings=embeddings,
        targets=targets,
    )


def decide(pool: Pool) -> tuple[str, str]:
    return choose(pool, np.random.default_rng(0))


def test_with_a_handful_of_labels_it_takes_the_safe_choice_and_says_so() -> None:
    batch = select(make_pool(200, 12), 10, strategy="auto", rng=np.random.default_rng(0))
    assert sorted(batch.strategies) == ["random"] + [PRIOR] * 9
    assert batch.note == f"{PRIOR}: 12 labelled samples are too few to tell strategies apart"


@pytest.mark.parametrize(("apart", "wanted"), [(4.0, "typiclust"), (0.5, "maxherding"), (0.0, PRIOR)])
def test_a_cold_start_trusts_clusters_as_far_as_neighbours_agree(apart: float, wanted: str) -> None:
    name, why = decide(make_pool(400, 80, apart=apart))
    assert name == wanted
    assert "80 labelled samples, neighbour purity" in why


def test_a_tenth_is_drawn_at_random_and_spread_over_the_batch() -> None:
    batch = select(make_pool(600, 200), 40, strategy="auto", rng=np.random.default_rng(0))
    places = [rank for rank, name in enumerate(batch.strategies) if name == "random"]
    if set(batch.strategies) != {"random"}:
        assert places == [5, 15, 25, 35]
    assert all("drawn at random" in batch.reasons[rank] for rank in places)
    assert len(set(batch.samples)) == 40


@pytest.mark.slow
def test_the_random_tenth_does_not_depend_on_the_model() -> None:
    pool = make_pool(600, 200)
    assert pool.probs is not None
    turned = Pool(
        samples=pool.samples, labelled=pool.labelled, pending=pool.pending, targets=pool.targets,
        embeddings=pool.embeddings, probs=pool.probs[:, ::-1],
    )  # fmt: skip
    drawn = [
        [sample for sample, name in zip(batch.samples, batch.strategies, strict=True) if name == "random"]
        for batch in (select(view, 30, strategy="auto", rng=np.random.default_rng(3)) for view in (pool, turned))
    ]
    assert drawn[0] == drawn[1] and len(drawn[0]) == 3


def test_the_winner_of_the_replay_is_taken_when_it_beats_random() -> None:
    areas = np.array([[0.50, 0.52, 0.51, 0.50, 0.52], [0.56, 0.57, 0.57, 0.55, 0.58], [0.50, 0.51, 0.50, 0.50, 0.51]])
    name, why = verdict(RoundReplay(("margin", "badge", "random"), areas, 300, 150))
    assert name == "badge"
    assert why == (
        "badge: in 5 replays on 300 labelled samples badge +6.2 ± 0.4 points of macro-F1 against random "
        "(margin +0.6, random +0.0)"
    )


def test_a_replay_that_shows_nothing_leaves_the_safe_choice() -> None:
    areas = np.array([[0.50, 0.60, 0.40, 0.55, 0.45], [0.51, 0.50, 0.50, 0.50, 0.50]])
    name, why = verdict(RoundReplay(("margin", "random"), areas, 300, 150))
    assert name == PRIOR
    assert "cannot tell the strategies apart" in why


def test_with_many_labels_of_every_class_the_safe_choice_is_the_models_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    areas = np.array([[0.50, 0.60, 0.40, 0.55, 0.45], [0.51, 0.50, 0.50, 0.50, 0.50]])
    monkeypatch.setattr(auto, "replay", lambda *_: RoundReplay(("badge", "random"), areas, 300, 150))
    few, many = (choose(make_pool(K * 300, labelled), np.random.default_rng(0)) for labelled in (K * 249, K * 250))
    assert (few[0], many[0]) == (PRIOR, LATER)
    assert all("cannot tell the strategies apart" in why for _, why in (few, many))


def test_a_replay_is_paired_and_repeatable() -> None:
    embeddings, truth = faces(300, apart=1.5)
    args = (embeddings, np.eye(K)[truth], np.arange(300), ("random", "margin"))
    first, second = (replay(*args, np.random.default_rng(1)) for _ in range(2))
    assert np.array_equal(first.areas, second.areas)
    assert first.gains()[0] == 0 and first.errors()[0] == 0
    assert first.areas.shape == (2, 5) and ((first.areas > 0) & (first.areas < 1)).all()


def test_copies_never_sit_on_both_sides_of_a_replay() -> None:
    """A memorised copy would make the judge perfect: with pairs of copies and random labels it must stay at chance."""
    rng = np.random.default_rng(0)
    half = rng.normal(size=(70, 90))
    embeddings, truth = np.repeat(half, 2, axis=0), np.repeat(rng.integers(0, 2, 70), 2)
    args = (embeddings, np.eye(2)[truth])
    apart = replay(*args, np.repeat(np.arange(70), 2), ("random",), np.random.default_rng(0)).areas.mean()
    mixed = replay(*args, np.arange(140), ("random",), np.random.default_rng(0)).areas.mean()
    assert apart < 0.5 < mixed - 0.05


@pytest.mark.parametrize(
    ("sizes", "said"), [((120,), "120 labelled samples of one person or video"), ((110, 10), "of 2 people")]
)
def test_labels_of_one_or_two_videos_leave_the_safe_choice(sizes: tuple[int, ...], said: str) -> None:
    video = np.zeros(300, dtype=np.int32)
    pool = make_pool(300, 120)
    video[np.flatnonzero(pool.labelled)] = np.repeat(np.arange(len(sizes)), sizes)
    batch = select(replace(pool, group=video), 10, strategy="auto", rng=np.random.default_rng(0))
    assert batch.note.startswith(f"{PRIOR}: ")
    assert said in batch.note
    assert len(batch.rows) == 10


def test_labels_of_one_class_leave_the_safe_choice() -> None:
    pool = make_pool(300, 120)
    alike = np.where(pool.labelled[:, None], np.eye(K)[0], np.nan)
    assert decide(replace(pool, targets=alike)) == (
        PRIOR,
        f"{PRIOR}: the 120 labelled samples are all of one class, so strategies cannot differ",
    )


@pytest.mark.slow
def test_more_classes_than_a_replay_has_samples_to_begin_with() -> None:
    embeddings, _ = faces(95, apart=1.0)
    truth = np.random.default_rng(0).integers(0, 40, 95)
    found = replay(embeddings, np.eye(40)[truth], np.arange(95), ("random", "margin"), np.random.default_rng(0))
    assert found.labelled < 95
    assert np.isfinite(found.areas).all()


def test_neighbour_purity_is_zero_by_chance_and_one_in_pure_clusters() -> None:
    embeddings, truth = faces(400, apart=30.0)
    assert neighbour_purity(embeddings, truth) > 0.99
    rng = np.random.default_rng(0)
    assert abs(neighbour_purity(rng.normal(size=(800, 12)), rng.integers(0, 4, 800))) < 0.05
    assert neighbour_purity(embeddings[:1], truth[:1]) == 0
    assert neighbour_purity(embeddings, np.zeros(400, dtype=np.int64)) == 0


def test_principal_components_keep_distances_when_nothing_is_cut() -> None:
    values = np.random.default_rng(0).normal(size=(200, 30)) @ np.diag([1.0] * 5 + [0.0] * 25)
    kept, others = principal(values, values[:3], 8)
    assert kept.shape == (200, 8) and np.allclose(others, kept[:3], atol=1e-4)
    assert np.linalg.norm(kept[3] - kept[77]) == pytest.approx(np.linalg.norm(values[3] - values[77]), rel=1e-4)


def test_features_that_have_not_learned_the_labels_are_believed_first() -> None:
    from dataclasses import replace

    pool = make_pool(400, 80, apart=4.0)
    blurred = np.full((400, 12), np.nan)
    blurred[pool.labelled] = np.random.default_rng(0).normal(size=(80, 12))
    assert decide(pool)[0] == "typiclust"
    assert decide(replace(pool, unlearned=blurred))[0] == PRIOR
