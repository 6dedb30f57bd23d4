"""Temperature scaling finds the temperature, leaves answers alone and refuses to guess."""

from __future__ import annotations

import numpy as np
import pytest

from emolab.inference.probabilities import softmax
from emolab.stats import metrics
from emolab.training.judging.calibrate import fit_temperature


def drawn(temperature: float, n: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Logits and answers drawn from softmax(logits / temperature)."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(n, 5)) * 3
    probs = softmax(logits, temperature)
    return logits, np.array([rng.choice(5, p=p / p.sum()) for p in probs.astype(float)])


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_finds_the_temperature_that_made_the_answers(temperature: float) -> None:
    logits, truth = drawn(temperature)
    assert fit_temperature(logits, truth) == pytest.approx(temperature, rel=0.07)


def test_lowers_calibration_error_and_changes_no_answer() -> None:
    logits, truth = drawn(3.0)
    before, after = softmax(logits), softmax(logits, fit_temperature(logits, truth))
    assert metrics.expected_calibration_error(after, truth) < 0.3 * metrics.expected_calibration_error(before, truth)
    assert (before.argmax(axis=1) == after.argmax(axis=1)).all()


@pytest.mark.parametrize("n", [0, 9])
def test_stays_at_one_with_too_few_samples(n: int) -> None:
    logits, truth = drawn(3.0, n=max(n, 1))
    assert fit_temperature(logits[:n], truth[:n]) == 1.0


def test_stays_at_one_when_everything_is_right() -> None:
    logits = np.eye(3)[np.arange(30) % 3] * 5
    assert fit_temperature(logits, np.arange(30) % 3) == 1.0


def test_softmax_survives_huge_logits() -> None:
    assert softmax(np.array([[1e6, 0.0, -1e9]])).tolist() == [[1.0, 0.0, 0.0]]
