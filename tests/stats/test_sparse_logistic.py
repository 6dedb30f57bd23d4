"""The sparse heads are at their minimum, class by class; thresholds are the best there are."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.sparse import csr_matrix, random_array

from emolab.errors import DataError
from emolab.stats import multilabel, sparse_logistic


def problem(n: int = 120, d: int = 30, k: int = 3, seed: int = 0) -> tuple[csr_matrix, np.ndarray]:
    rng = np.random.default_rng(seed)
    matrix = csr_matrix(random_array((n, d), density=0.2, rng=rng, dtype=np.float64))
    targets = 1 / (1 + np.exp(-(matrix @ rng.normal(size=(d, k)) * 3 + rng.normal(size=(n, k)))))
    targets[:, 0] = targets[:, 0] > 0.5
    return matrix, targets


def objective(matrix: csr_matrix, target: np.ndarray, strength: float, scale: np.ndarray, theta: np.ndarray) -> float:
    logits = matrix @ (scale * theta[:-1]) + theta[-1]
    return float(strength * (np.logaddexp(0, logits) - target * logits).sum() + 0.5 * (theta[:-1] ** 2).sum())


@pytest.mark.parametrize("scaled", [False, True])
def test_each_class_is_at_the_minimum_that_another_solver_finds(scaled: bool) -> None:
    matrix, targets = problem()
    scale = sparse_logistic.contrast(matrix, targets) if scaled else np.ones((30, 3), np.float32)
    found = sparse_logistic.solve(matrix, targets, strength=2.0, scale=scale if scaled else None, tolerance=1e-5)
    for j in range(3):
        asked = (matrix, targets[:, j], 2.0, scale[:, j].astype(np.float64))
        best = minimize(lambda theta, asked=asked: objective(*asked, theta), np.zeros(31), method="L-BFGS-B", tol=1e-12)
        mine = objective(*asked, np.append(found.weight[:, j] / scale[:, j], found.bias[j]).astype(np.float64))
        assert mine <= best.fun * (1 + 1e-5)
        assert np.allclose(found.weight[:, j], best.x[:-1] * scale[:, j], atol=5e-3)
    assert (found.slope <= 1e-5).all()


def test_classes_do_not_depend_on_each_other_and_the_answer_is_the_same_each_time() -> None:
    matrix, targets = problem()
    together = sparse_logistic.solve(matrix, targets, strength=1.0, tolerance=1e-6)
    again = sparse_logistic.solve(matrix, targets, strength=1.0, tolerance=1e-6)
    assert np.array_equal(together.weight, again.weight)
    for j in range(3):
        alone = sparse_logistic.solve(matrix, targets[:, [j]], strength=1.0, tolerance=1e-6)
        assert np.allclose(alone.weight[:, 0], together.weight[:, j], atol=1e-4)


def test_a_class_that_nobody_or_everybody_has_is_solved_too() -> None:
    matrix, targets = problem()
    targets[:, 0], targets[:, 1] = 0, 1
    probs = sparse_logistic.solve(matrix, targets, strength=1.0).probabilities(matrix)
    assert probs[:, 0].max() < 0.05
    assert probs[:, 1].min() > 0.95


def test_contrast_counts_presence_and_grows_with_what_a_feature_tells() -> None:
    matrix = csr_matrix(np.array([[5.0, 1], [2, 1], [0, 1], [0, 1]]))
    scale = sparse_logistic.contrast(matrix, np.array([[1], [1], [0], [0]]), floor=0.25)
    # Within: feature 0 in 2 sentences, 1 in 2; without: 0 and 2; one more each.
    within, without = np.array([3, 3]) / 6, np.array([1, 3]) / 4
    assert scale[:, 0] == pytest.approx(np.abs(np.log(within / without)) + 0.25)


def test_what_cannot_be_solved_is_refused() -> None:
    matrix, targets = problem()
    with pytest.raises(DataError, match="outside 0 to 1"):
        sparse_logistic.solve(matrix, targets + 1, strength=1.0)
    with pytest.raises(ValueError, match="strength is 0"):
        sparse_logistic.solve(matrix, targets, strength=0)
    matrix.data[0] = np.nan
    with pytest.raises(DataError, match="not finite"):
        sparse_logistic.solve(matrix, targets, strength=1.0)


def test_thresholds_are_the_best_of_all_that_are_possible() -> None:
    rng = np.random.default_rng(0)
    truth, probs = rng.random((60, 4)) < 0.3, rng.random((60, 4)).round(1)

    def f1(j: int, threshold: float) -> float:
        said = probs[:, j] >= threshold
        return float(2 * (said & truth[:, j]).sum() / max(1, said.sum() + truth[:, j].sum()))

    found = multilabel.best_thresholds(truth, probs)
    for j in range(4):
        assert f1(j, found[j]) == max(f1(j, value) for value in np.linspace(0, 1.05, 106))


def test_a_class_that_nobody_has_is_never_said_by_its_threshold() -> None:
    truth = np.zeros((3, 2), bool)
    truth[0, 0] = True
    assert multilabel.best_thresholds(truth, np.full((3, 2), 0.5))[1] == 1


def test_figures_of_several_labels_are_those_counted_by_hand() -> None:
    truth = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 0]], bool)
    said = np.array([[1, 0, 0], [1, 0, 0], [1, 1, 0], [0, 0, 1]], bool)
    found = multilabel.summary(truth, said, np.full((4, 3), 0.5), ("a", "b", "c"))
    assert [row["f1"] for row in found["per_class"]] == [pytest.approx(4 / 5), pytest.approx(2 / 3), None]
    assert found["macro_f1"] == pytest.approx((4 / 5 + 2 / 3) / 2)
    assert found["micro_f1"] == pytest.approx(2 * 3 / (4 + 5))
    assert (found["n"], found["present"], found["exact"]) == (4, 2, 0.25)
    assert found["log_loss"] == pytest.approx(np.log(2))


def test_what_a_source_cannot_show_says_nothing_of_a_class() -> None:
    matrix, targets = problem()
    counted = np.ones(targets.shape, bool)
    counted[60:, 1] = False
    targets[60:, 1] = 0
    found = sparse_logistic.solve(matrix, targets, strength=1.0, counted=counted, tolerance=1e-6)
    half = sparse_logistic.solve(matrix[:60], targets[:60], strength=1.0, tolerance=1e-6)
    whole = sparse_logistic.solve(matrix, targets, strength=1.0, tolerance=1e-6)
    assert np.allclose(found.weight[:, 1], half.weight[:, 1], atol=1e-4)
    assert np.allclose(found.weight[:, 0], whole.weight[:, 0], atol=1e-4)
    assert not np.allclose(found.weight[:, 1], whole.weight[:, 1], atol=1e-2)
