"""The temperature of classes by themselves: found, undone, and no label changes."""

from __future__ import annotations

import numpy as np
import pytest

from emolab.stats import class_temperature, multilabel
from emolab.stats.class_temperature import FEWEST, ClassTemperature
from emolab.stats.sparse_logistic import sigmoid

REST = np.array([-0.5, -2.0, -4.0])


def drawn(value: float, n: int = 4000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Log-odds, and which classes apply, drawn from what they say at temperature ``value``.

    The classes keep the shares that ``REST`` says.
    """
    rng = np.random.default_rng(seed)
    honest = REST + rng.normal(size=(n, 3)) * 2
    truth = rng.random((n, 3)) < sigmoid(honest)
    rest = class_temperature.fit(honest, truth).rest
    return rest + (honest - rest) * value, truth


@pytest.mark.parametrize("value", [0.4, 1.0, 3.0])
def test_it_finds_the_temperature_that_made_the_answers(value: float) -> None:
    logits, truth = drawn(value)
    made = class_temperature.fit(logits, truth)
    share = truth.mean(axis=0)
    assert made.value == pytest.approx(value, rel=0.1)
    assert made.rest.tolist() == pytest.approx((np.log(share) - np.log1p(-share)).tolist(), abs=0.01)


@pytest.mark.parametrize("value", [0.4, 3.0])
def test_log_loss_and_calibration_error_fall_on_other_samples(value: float) -> None:
    made = class_temperature.fit(*drawn(value))
    logits, truth = drawn(value, seed=1)
    before, after = (multilabel.honesty(truth, probs) for probs in (sigmoid(logits), made.probabilities(logits)))
    assert after["log_loss"] < 0.97 * before["log_loss"]
    assert after["ece"] < 0.5 * before["ece"]


@pytest.mark.parametrize("value", [0.21, 0.5, 1.0, 4.0])
def test_thresholds_are_carried_over_so_that_every_sample_keeps_its_labels(value: float) -> None:
    rng = np.random.default_rng(2)
    made = ClassTemperature(value, REST, 500)
    # single precision tells probabilities near 1 apart no more, so a threshold has to stay away from it
    logits = (REST + rng.normal(size=(20_000, 3)) * 3).astype(np.float32)
    for found in (np.array([0.5, 0.2, 0.05]), np.array([0.3, 1.0, 0.05]), np.array([0.5, 0.4, 1.0])):
        carried = made.thresholds(found)
        before, after = (
            multilabel.labels(sigmoid(logits), found),
            multilabel.labels(made.probabilities(logits), carried),
        )
        assert np.array_equal(before, after)
        assert (carried == 1).tolist() == (found == 1).tolist()
        assert before.any(axis=1).all()


def test_a_class_that_is_never_said_is_not_the_nearest_one_either() -> None:
    probs = np.array([[0.1, 0.9], [0.0, 0.0]])
    assert multilabel.labels(probs, np.array([0.6, 1.0])).tolist() == [[True, False], [True, False]]


def test_it_can_be_undone() -> None:
    made = ClassTemperature(0.5, REST, 500)
    logits = np.random.default_rng(3).normal(size=(500, 3)).astype(np.float32) * 3
    assert np.allclose(made.undone(made.probabilities(logits)), sigmoid(logits), atol=3e-3)


def test_what_is_not_known_of_a_class_counts_for_nothing() -> None:
    logits, truth = drawn(2.0)
    known = np.ones(truth.shape, bool)
    known[::2, 1] = False
    made = class_temperature.fit(logits, truth, known)
    turned = class_temperature.fit(logits, truth ^ ~known, known)
    assert made.value == turned.value
    assert made.rest.tolist() == turned.rest.tolist()
    assert class_temperature.fit(logits, truth ^ ~known).value != made.value


def test_it_stays_at_one_with_too_few_samples_and_where_everything_is_right() -> None:
    logits, truth = drawn(3.0, n=FEWEST - 1)
    assert class_temperature.fit(logits, truth).value == 1.0
    truth = np.eye(3, dtype=bool)[np.arange(300) % 3]
    assert class_temperature.fit(np.where(truth, 4.0, -4.0), truth).value == 1.0


def test_a_class_that_nobody_has_is_drawn_to_no_share_at_all() -> None:
    logits, truth = drawn(1.0)
    truth[:, 2] = False
    made = class_temperature.fit(logits, truth)
    assert np.isfinite(made.rest).all()
    assert sigmoid(made.rest)[2] == pytest.approx(0.5 / 4001)
