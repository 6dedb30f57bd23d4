"""Batches within limits: caps per group, quotas per predicted class."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from emolab.active_learning.selection.batch import Limits, compose
from emolab.active_learning.selection.pool import Pool
from emolab.active_learning.selection.select import Selection, select
from emolab.errors import DataError

CLASSES = ("fear", "happiness", "neutral")


def make_pool(n: int = 90, **columns: Any) -> Pool:
    """Thirty samples of each of three persons; the model believes 60 to be neutral, 20 happy, 10 afraid."""
    rng = np.random.default_rng(0)
    guess = np.repeat([2, 1, 0], [60, 20, 10])[rng.permutation(90)][:n]
    probs = np.full((n, 3), 0.2)
    probs[np.arange(n), guess] = 0.6
    given: dict[str, Any] = {
        "samples": [f"{row:04d}" for row in range(n)],
        "labelled": np.zeros(n, dtype=bool),
        "pending": np.zeros(n, dtype=bool),
        "group": (np.arange(n) % 3).astype(np.int32),
        "probs": probs + rng.uniform(0, 0.01, (n, 3)),
        "embeddings": rng.normal(size=(n, 8)),
        "classes": CLASSES,
    }
    return Pool(**{**given, **columns})


def choose(pool: Pool, n: int, limits: Limits, strategy: str = "margin") -> Selection:
    return compose(pool, n, strategy=strategy, rng=np.random.default_rng(0), limits=limits)


def guesses(pool: Pool, batch: Selection) -> list[int]:
    assert pool.probs is not None
    return np.bincount(pool.probs[batch.rows].argmax(axis=1), minlength=3).tolist()


def test_without_limits_it_is_the_strategy_alone() -> None:
    pool = make_pool()
    alone = select(pool, 12, strategy="margin", rng=np.random.default_rng(0))
    assert choose(pool, 12, Limits()).samples == alone.samples


@pytest.mark.parametrize("strategy", ["margin", "coreset", "random", "auto"])
def test_nobody_appears_more_often_than_the_cap(strategy: str) -> None:
    pool = make_pool()
    batch = choose(pool, 9, Limits(per_group=3), strategy)
    assert pool.group is not None
    assert np.bincount(pool.group[batch.rows]).tolist() == [3, 3, 3]
    assert len(batch.reasons) == len(batch.strategies) == len(batch.scores) == 9


def test_the_best_of_each_group_are_kept() -> None:
    pool = make_pool()
    everybody = choose(pool, 90, Limits()).samples
    assert pool.group is not None
    group_of = dict(zip(pool.samples, pool.group.tolist(), strict=True))
    wanted: list[str] = []
    for sample in everybody:
        if sum(group_of[other] == group_of[sample] for other in wanted) < 2:
            wanted.append(sample)
    assert sorted(choose(pool, 6, Limits(per_group=2)).samples) == sorted(wanted)


def test_samples_without_a_group_have_no_cap() -> None:
    pool = make_pool(group=np.full(90, -1, dtype=np.int32))
    assert len(choose(pool, 30, Limits(per_group=1)).samples) == 30


def test_the_random_tenth_is_not_crowded_out_by_the_other_picks() -> None:
    kept = []
    for seed in range(10):
        pool = make_pool(group=(np.arange(90) % 30).astype(np.int32))
        found = compose(pool, 30, strategy="auto", rng=np.random.default_rng(seed), limits=Limits(per_group=1))
        kept.append(found.strategies.count("random"))
    assert np.mean(kept) > 2.5, "three of thirty, but for those that are of one person"


def test_too_tight_a_cap_says_how_many_there_are() -> None:
    with pytest.raises(DataError, match=r"Only 6 of the 20 samples asked for can be chosen with at most 2") as error:
        choose(make_pool(), 20, Limits(per_group=2))
    assert error.value.hint == "Use -n 6, or a larger --per-group."


def test_a_balanced_batch_has_as_many_of_every_class() -> None:
    pool = make_pool()
    assert guesses(pool, choose(pool, 24, Limits(balanced=True))) == [8, 8, 8]


def test_what_a_rare_class_lacks_the_others_share() -> None:
    pool = make_pool()
    assert guesses(pool, choose(pool, 60, Limits(balanced=True))) == [10, 20, 30]


def test_with_both_limits_the_cap_is_strict_and_the_quota_gives_way() -> None:
    pool = make_pool()
    batch = choose(pool, 12, Limits(per_group=4, balanced=True))
    assert pool.group is not None
    assert all(3 <= count <= 5 for count in guesses(pool, batch))
    assert np.bincount(pool.group[batch.rows]).tolist() == [4, 4, 4]


def test_samples_without_a_prediction_have_no_quota_but_are_not_lost() -> None:
    pool = make_pool()
    assert pool.probs is not None
    probs = pool.probs.copy()
    probs[:80] = np.nan
    assert len(choose(make_pool(probs=probs), 90, Limits(balanced=True)).samples) == 90


def test_a_balanced_batch_without_a_model_is_a_clear_error() -> None:
    with pytest.raises(DataError, match="needs a model's predictions"):
        choose(make_pool(probs=None), 9, Limits(balanced=True), "random")
