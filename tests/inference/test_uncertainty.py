"""Unsure is an answer: sets hold the right class as often as stated, on images that nothing was fitted on."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from emolab.inference import uncertainty
from emolab.inference.uncertainty import Uncertainty


def drawn(n: int, rng: np.random.Generator, *, k: int = 7, sure: float = 1.5) -> tuple[NDArray, NDArray]:
    """Calibrated probabilities (n, k) and the classes drawn from them."""
    probs = rng.dirichlet(np.full(k, 1 / sure), n).astype(np.float32)
    probs /= probs.sum(axis=1, keepdims=True)
    chances = probs.astype(np.float64).cumsum(axis=1)
    return probs, (rng.random((n, 1)) > chances / chances[:, -1:]).sum(axis=1)


@pytest.mark.parametrize("skew", [1.0, 0.4, 3.0], ids=["calibrated", "too modest", "too sure"])
def test_the_coverage_is_reached_on_unseen_images_whether_or_not_the_model_is_calibrated(skew: float) -> None:
    rng = np.random.default_rng(0)
    reached = []
    for _ in range(200):
        probs, truth = drawn(400, rng)
        said = probs**skew / (probs**skew).sum(axis=1, keepdims=True)
        stated = uncertainty.fit(said[:200], truth[:200])
        reached.append([row["reached"] for row in uncertainty.check(stated, said[200:], truth[200:])])
    for coverage, found in zip(uncertainty.COVERAGES, np.mean(reached, axis=0), strict=True):
        # between the coverage and one image of the 200 more (ties and the best class, always inside, may add)
        assert coverage - 0.01 <= found <= coverage + 0.06, coverage


def test_a_higher_coverage_has_larger_sets() -> None:
    probs, truth = drawn(2000, np.random.default_rng(1))
    found = uncertainty.check(uncertainty.fit(probs[:1000], truth[:1000]), probs[1000:], truth[1000:])
    sizes = [row["size"] for row in found]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]
    assert sizes[0] >= 1


@pytest.mark.parametrize("n", [0, 1, uncertainty.FEWEST - 1])
def test_too_few_images_state_nothing(n: int) -> None:
    probs, truth = drawn(n, np.random.default_rng(2))
    assert uncertainty.fit(probs, truth) == {}
    assert uncertainty.level_for({}, 0.9) is None


def test_a_coverage_that_is_not_stated_has_no_level() -> None:
    probs, truth = drawn(200, np.random.default_rng(3))
    stated = uncertainty.fit(probs, truth)
    assert uncertainty.level_for(stated, 0.9) == stated["levels"]["0.9"]
    assert uncertainty.level_for(stated, 0.5) is None


def test_the_set_begins_with_the_best_class_and_holds_every_other_above_the_level() -> None:
    probs = np.array([0.1, 0.5, 0.25, 0.15], np.float32)
    assert Uncertainty(level=0.2).among(probs) == (1, 2)
    assert Uncertainty(level=0.9).among(probs) == (1,)
    assert Uncertainty(level=0.0).among(probs) == (1, 2, 3, 0)
    assert Uncertainty().among(probs) is None
    assert [Uncertainty(threshold=t).unsure(probs) for t in (0.0, 0.5, 0.51)] == [False, False, True]
