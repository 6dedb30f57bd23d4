"""BADGE: the draws are those of k-means++ on gradients written out, at a fraction of the work."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from emolab.active_learning.selection import space
from emolab.active_learning.selection.pool import Picks, Pool
from emolab.active_learning.strategies import badge


def pool_of(probs: NDArray[Any], embeddings: NDArray[Any], **columns: Any) -> Pool:
    nobody = np.zeros(len(probs), dtype=bool)
    given: dict[str, Any] = {"labelled": nobody, "pending": nobody, "classes": ("fear", "surprise", "anger"), **columns}
    return Pool(samples=[f"{i:04d}" for i in range(len(probs))], probs=probs, embeddings=embeddings, **given)


def some(n: int, seed: int, d: int = 6) -> tuple[NDArray[np.float32], NDArray[np.float16]]:
    rng = np.random.default_rng(seed)
    return rng.dirichlet([0.8] * 3, n).astype(np.float32), rng.normal(size=(n, d)).astype(np.float16)


def ask(pool: Pool, n: int, seed: int = 0) -> Picks:
    return badge.select(pool, n, np.random.default_rng(seed))


def written_out(probs: NDArray[Any], embeddings: NDArray[Any]) -> NDArray[np.float64]:
    """The gradients (n, k * d) as they are in the paper."""
    errors = probs.astype(np.float64) - np.eye(probs.shape[1])[probs.argmax(axis=1)]
    return np.asarray((errors[:, :, None] * embeddings.astype(np.float64)[:, None, :]).reshape(len(probs), -1))


def test_the_factored_distances_are_those_of_the_gradients() -> None:
    probs, embeddings = some(40, seed=0)
    gradients = written_out(probs, embeddings)
    field = badge.Gradients.over(pool_of(probs, embeddings), np.arange(40))
    apart = field.at(np.arange(40)).squared_distances(field.at(np.arange(10)))
    wanted = ((gradients[:, None] - gradients[None, :10]) ** 2).sum(axis=2)
    assert apart == pytest.approx(wanted, rel=1e-4, abs=1e-5)
    assert field.square == pytest.approx((gradients**2).sum(axis=1), rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("look", "block"), [(2, 256), (512, 1), (512, 256)])
def test_every_order_of_draws_has_the_chance_that_k_means_plus_plus_gives_it(
    look: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(badge, "LOOK", look)
    monkeypatch.setattr(badge, "BLOCK", block)
    probs, embeddings = some(6, seed=4, d=3)
    gradients = written_out(probs, embeddings)
    first = int((gradients**2).sum(axis=1).argmax())
    chance = {}
    for second, third in permutations([i for i in range(6) if i != first], 2):
        one = ((gradients - gradients[first]) ** 2).sum(axis=1)
        two = np.minimum(one, ((gradients - gradients[second]) ** 2).sum(axis=1))
        chance[second, third] = one[second] / one.sum() * two[third] / two.sum()
    assert sum(chance.values()) == pytest.approx(1)
    pool, seen, seeds = pool_of(probs, embeddings), dict.fromkeys(chance, 0), 4000
    for seed in range(seeds):
        rows = ask(pool, 3, seed).rows.tolist()
        assert rows[0] == first
        seen[rows[1], rows[2]] += 1
    counts, expected = np.array(list(seen.values())), seeds * np.array(list(chance.values()))
    rare = expected < 5
    counts = np.append(counts[~rare], counts[rare].sum())
    expected = np.append(expected[~rare], expected[rare].sum())
    kept = expected > 0
    assert stats.chisquare(counts[kept], expected[kept]).pvalue > 0.001


def test_the_size_of_chunks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = pool_of(*some(900, seed=3))
    whole = ask(pool, 100)
    monkeypatch.setattr(badge, "CHUNK", 7)
    monkeypatch.setattr(space, "CHUNK", 33)
    assert ask(pool, 100).rows.tolist() == whole.rows.tolist()


def test_copies_are_drawn_only_when_nothing_else_is_left() -> None:
    probs, embeddings = some(30, seed=5)
    pool = pool_of(np.repeat(probs, 20, axis=0), np.repeat(embeddings, 20, axis=0))
    picks = ask(pool, 40)
    assert len(set((picks.rows[:30] // 20).tolist())) == 30
    assert (picks.scores[:30] > 0).all() and not picks.scores[30:].any()
    assert picks.reasons[30] == "would teach the model the same as a pick before"


def test_of_what_the_model_is_sure_of_one_is_drawn_at_most_before_the_end() -> None:
    probs, embeddings = some(20, seed=6)
    probs[3:18] = [0, 1, 0]
    picks = ask(pool_of(probs, embeddings), 20)
    assert set(picks.rows[:6].tolist()) >= {0, 1, 2, 18, 19}
    assert not picks.scores[6:].any()
    assert picks.reasons[-1] == "would teach the model nothing: it is sure"


def test_pending_samples_count_as_picked() -> None:
    probs, embeddings = some(20, seed=7)
    probs[10:], embeddings[10:] = probs[:10], embeddings[:10]
    picks = ask(pool_of(probs, embeddings, pending=np.arange(20) < 9), 11)
    assert set(picks.rows[:1].tolist()) <= {9, 19}
    assert (picks.scores > 0).sum() == 1


def test_reasons_say_what_the_model_says_and_what_is_missing() -> None:
    probs, embeddings = some(4, seed=8)
    probs[0] = [0.48, 0.47, 0.05]
    probs[1], embeddings[2] = np.nan, np.inf
    picks = ask(pool_of(probs, embeddings), 4)
    said = dict(zip(picks.rows.tolist(), picks.reasons, strict=True))
    assert said[0] == "would teach the model something new; the model wavers between fear 48% and surprise 47%"
    assert said[1] == "the model gave no prediction for it"
    assert said[2] == "the model gave no usable embedding for it"
    assert np.isnan(picks.scores[[list(picks.rows).index(1), list(picks.rows).index(2)]]).all()


def test_memory_mapped_half_precision_is_read_as_it_is(tmp_path: Path) -> None:
    probs, embeddings = some(600, seed=9)
    np.save(tmp_path / "embeddings.npy", embeddings)
    mapped = np.load(tmp_path / "embeddings.npy", mmap_mode="r")
    assert ask(pool_of(probs, mapped), 50).rows.tolist() == ask(pool_of(probs, embeddings), 50).rows.tolist()


@pytest.mark.parametrize("what", ["sure of everybody", "no direction"])
def test_a_pool_without_any_gradient_is_answered_by_id(what: str) -> None:
    probs, embeddings = some(30, seed=0)
    if what == "no direction":
        embeddings[:] = 0
    else:
        probs = np.eye(3, dtype=np.float32)[np.arange(30) % 3]
    picks = ask(pool_of(probs, embeddings), 5)
    assert picks.rows.tolist() == [0, 1, 2, 3, 4]
    assert (np.nan_to_num(picks.scores) == 0).all()
