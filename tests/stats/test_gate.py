"""The gate decides by figures alone: passes what is as good, blocks what is surely worse, and says why."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from emolab.stats.gate import GateLimits, GateVerdict, decide

CLASSES = ("anger", "fear", "joy")
Array = NDArray[np.float64]


def drawn(n: int, right: float, seed: int, truth: NDArray[np.int64], *, sure: float = 0.8) -> Array:
    """Probabilities (n, 3) that are right on a share ``right`` of the samples; the best class has ``sure``."""
    rng = np.random.default_rng(seed)
    said = np.where(rng.random(n) < right, truth, (truth + rng.integers(1, 3, n)) % 3)
    probs = np.full((n, 3), (1 - sure) / 2)
    probs[np.arange(n), said] = sure
    return probs


def judged(new: Array, old: Array, truth: NDArray[np.int64], **more: object) -> GateVerdict:
    given = {
        "groups": np.arange(len(truth)), "sources": np.array(["web"] * len(truth)), "latency": 1.0,
        "limits": GateLimits(),
    }  # fmt: skip
    return decide(new, old, truth, CLASSES, **{**given, **more})  # type: ignore[arg-type]


@pytest.fixture
def truth() -> NDArray[np.int64]:
    return np.random.default_rng(0).integers(0, 3, 600)


def test_the_same_model_passes(truth: NDArray[np.int64]) -> None:
    probs = drawn(600, 0.8, 1, truth)
    found = judged(probs, probs, truth)
    assert found.passed
    assert "difference +0.000" in found.reasons[0]


def test_a_model_that_is_surely_worse_is_blocked_and_a_better_one_is_not(truth: NDArray[np.int64]) -> None:
    good, bad = drawn(600, 0.85, 1, truth), drawn(600, 0.7, 2, truth)
    found = judged(bad, good, truth, limits=GateLimits(recall_drop=1.0, ece_rise=1.0))
    assert not found.passed
    assert "which lies below the margin of +0.000" in found.reasons[0]
    assert judged(good, bad, truth).passed


def test_of_two_equally_good_models_few_are_blocked(truth: NDArray[np.int64]) -> None:
    limits = GateLimits(recall_drop=1.0, ece_rise=1.0)
    blocked = sum(
        not judged(drawn(600, 0.8, seed, truth), drawn(600, 0.8, seed + 500, truth), truth, limits=limits).passed
        for seed in range(100)
    )
    assert blocked <= 8  # 2.5 in 100 are expected; more than 8 come once in 1,000 times


def test_a_margin_asks_for_an_improvement_or_allows_a_loss(truth: NDArray[np.int64]) -> None:
    same, worse = drawn(600, 0.8, 1, truth), drawn(600, 0.72, 2, truth)
    free = {"recall_drop": 1.0, "ece_rise": 1.0}
    assert not judged(same, same, truth, limits=GateLimits(margin=0.05, **free)).passed
    assert not judged(worse, same, truth, limits=GateLimits(margin=0.0, **free)).passed
    assert judged(worse, same, truth, limits=GateLimits(margin=-0.15, **free)).passed


def test_calibration_latency_and_recall_block_by_themselves(truth: NDArray[np.int64]) -> None:
    good = drawn(600, 0.8, 1, truth)
    sure = drawn(600, 0.8, 1, truth, sure=0.99)
    assert "its calibration error is 0." in judged(sure, good, truth).reasons[0]
    assert judged(good, good, truth, latency=1.9).passed
    assert judged(good, good, truth, latency=2.5).reasons == (
        "an answer costs 2.50 times the CPU time, 2.00 is allowed",
    )
    blind = good.copy()
    blind[truth == 1] = [0.8, 0.1, 0.1]
    found = judged(blind, good, truth, limits=GateLimits(margin=-1.0, ece_rise=1.0))
    assert [reason for reason in found.reasons if "recall of the class fear" in reason]
    assert len(found.reasons) == 1


def test_a_source_that_gets_worse_blocks(truth: NDArray[np.int64]) -> None:
    good = drawn(600, 0.8, 1, truth)
    sources = np.where(np.arange(600) < 100, "clinic", "web")
    worse = good.copy()
    worse[:100] = drawn(100, 0.4, 3, truth[:100])
    found = judged(worse, good, truth, sources=sources, limits=GateLimits(margin=-1.0, ece_rise=1.0, recall_drop=0.2))
    assert [reason for reason in found.reasons if "recall of the source clinic" in reason]


def test_too_few_groups_block_however_many_samples(truth: NDArray[np.int64]) -> None:
    good = drawn(600, 0.8, 1, truth)
    found = judged(good, good, truth, groups=np.arange(600) % 7)
    assert found.reasons == ("only 600 holdout samples of 7 groups that neither has learned from, too few to tell",)
    assert not judged(good[:0], good[:0], truth[:0]).passed


def test_the_same_input_gives_the_same_verdict(truth: NDArray[np.int64]) -> None:
    one, other = drawn(600, 0.8, 1, truth), drawn(600, 0.78, 2, truth)
    assert judged(one, other, truth, seed=3) == judged(one, other, truth, seed=3)
