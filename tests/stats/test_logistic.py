"""The solved head: a true minimum, the one others find, and a sane one on degenerate data."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from emolab.errors import DataError
from emolab.stats import logistic
from emolab.stats.logistic import LogisticProblem, Solution

Floats = NDArray[np.float64]


def faces(n: int = 300, d: int = 12, k: int = 4, *, seed: int = 0) -> tuple[Floats, Floats]:
    """Features of very different scale and vote shares that depend on them."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d)) @ rng.standard_normal((d, d)) * np.geomspace(0.01, 100, d) + 5
    plain = (x - x.mean(axis=0)) / x.std(axis=0)
    shares = softmax(plain @ rng.standard_normal((d, k)), axis=1)
    votes = np.stack([rng.multinomial(10, p) for p in shares])
    return x, votes / 10


def objective(
    flat: Floats, x: Floats, y: Floats, mask: NDArray[np.bool_], *, penalty: float, bias_penalty: float
) -> tuple[float, Floats]:
    """The loss and its gradient as the docstring says, written again in double precision."""
    n, k = y.shape
    plain = (x - x.mean(axis=0)) / x.std(axis=0)
    theta = flat.reshape(k, -1)
    weight, bias = theta[:, :-1], theta[:, -1]
    centre = np.log((y.sum(axis=0) + 0.5) / (mask.sum(axis=0) + 0.5 * k))
    away = bias - (centre - centre.mean())
    logs = log_softmax(np.where(mask, plain @ weight.T + bias, -np.inf), axis=1)
    value = -(y * np.where(mask, logs, 0)).sum() / n
    value += 0.5 * penalty * ((weight**2).sum() + bias_penalty * (away**2).sum())
    rest = (np.exp(logs) - y) / n
    slope = np.concatenate(
        [rest.T @ plain + penalty * weight, (rest.sum(axis=0) + penalty * bias_penalty * away)[:, None]], axis=1
    )
    return float(value), slope.ravel()


def flat(solution: Solution, x: Floats) -> Floats:
    """``solution`` in the coordinates of :func:`objective`."""
    weight = solution.weight * x.std(axis=0)
    bias = solution.bias + solution.weight @ x.mean(axis=0)
    return np.concatenate([weight, bias[:, None]], axis=1).ravel()


def test_the_examples_hold() -> None:
    assert doctest.testmod(logistic).failed == 0


@pytest.mark.slow
@pytest.mark.parametrize("masked", [False, True], ids=["every class", "masked classes"])
@pytest.mark.parametrize("penalty", [1e-1, 1e-3, 1e-5])
def test_the_gradient_vanishes_and_scipy_finds_the_same_minimum(penalty: float, masked: bool) -> None:
    x, y = faces()
    mask = np.ones(y.shape, dtype=bool)
    if masked:
        mask[::3, 1] = mask[1::3, 3] = False
        y = np.where(mask, y + 1e-3, 0)
        y /= y.sum(axis=1, keepdims=True)
    problem = LogisticProblem(x, y, supported=mask)
    point = problem.solve(penalty)
    found = flat(problem.fold_back(point, penalty), x)

    def at(w: Floats) -> tuple[float, Floats]:
        return objective(w, x, y, mask, penalty=penalty, bias_penalty=1.0)

    value, slope = at(found)
    assert np.abs(slope).max() <= 2e-8
    assert point.gradient == pytest.approx(np.abs(slope).max(), abs=1e-9)
    other = minimize(
        at, np.zeros_like(found), jac=True, method="L-BFGS-B", options={"maxiter": 5000, "ftol": 0, "gtol": 1e-9}
    )
    assert value <= other.fun + 1e-12
    assert np.abs(found - other.x).max() <= 1e-3


@pytest.mark.slow
def test_sklearn_finds_the_same_probabilities() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    x, y = faces(400)
    hard = y.argmax(axis=1)
    plain = (x - x.mean(axis=0)) / x.std(axis=0)
    problem = LogisticProblem(plain, np.eye(4)[hard])
    penalty = 1 / (0.5 * len(x))  # sklearn's C = 0.5
    ours = problem.fold_back(problem.solve(penalty, bias_penalty=1e-12), penalty)
    theirs = linear.LogisticRegression(C=0.5, tol=1e-9, max_iter=5000).fit(plain, hard)
    assert softmax(ours.logits(plain), axis=1) == pytest.approx(theirs.predict_proba(plain), abs=1e-5)


def test_single_precision_gives_the_same_answer() -> None:
    x, y = faces(500)
    double = LogisticProblem(x, y).solve(1e-3)
    before, logistic.SINGLE = logistic.SINGLE, 0
    try:
        single = LogisticProblem(x.astype(np.float32), y).solve(1e-3)
    finally:
        logistic.SINGLE = before
    assert single.theta.dtype == np.float32
    assert single.gradient <= 5e-5
    assert np.abs(single.theta - double.theta).max() <= 1e-2


def test_more_features_than_samples_is_solved_in_their_span() -> None:
    x, y = faces(30, 80)
    problem = LogisticProblem(x, y)
    assert problem.x.shape == (30, 30)
    found = flat(problem.fold_back(problem.solve(1e-2), 1e-2), x)
    _, slope = objective(found, x, y, np.ones(y.shape, dtype=bool), penalty=1e-2, bias_penalty=1.0)
    assert np.abs(slope).max() <= 2e-8


def test_the_penalty_chosen_is_the_best_of_those_tried() -> None:
    x, y = faces(400, seed=3)
    solution, trials = logistic.solve(x, y)
    assert solution.penalty == min(trials, key=lambda trial: trial.held).penalty
    assert [trial.penalty for trial in trials] == sorted((trial.penalty for trial in trials), reverse=True)
    again, _ = logistic.solve(x, y)
    assert (again.weight == solution.weight).all()


def test_nothing_to_learn_is_held_back_to_the_class_shares() -> None:
    rng = np.random.default_rng(0)
    y = np.eye(3)[rng.choice(3, 200, p=[0.7, 0.2, 0.1])]
    solution, _ = logistic.solve(rng.standard_normal((200, 50)), y)
    assert solution.penalty >= 0.1
    assert softmax(solution.logits(np.zeros((1, 50))), axis=1)[0] == pytest.approx(y.mean(axis=0), abs=0.05)


def test_folds_hold_every_sample_once_and_every_class_evenly() -> None:
    classes = np.repeat([0, 1, 2], [50, 10, 1])
    parts = logistic.folds(classes, 5, seed=1)
    assert sorted(np.concatenate(parts).tolist()) == list(range(61))
    assert [int((classes[part] == 1).sum()) for part in parts] == [2] * 5


def separable(n: int, *, seed: int = 0) -> tuple[Floats, NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    hard = np.arange(n) % 3
    return rng.standard_normal((n, 6)) + 4 * np.eye(6)[hard], hard


def test_one_class_only_is_always_answered() -> None:
    x, _ = separable(40)
    y = np.eye(3)[np.full(40, 1)]
    solution, _ = logistic.solve(x, y)
    probs = softmax(solution.logits(x), axis=1)
    assert np.isfinite(solution.weight).all()
    assert (probs[:, 1] > 0.9).all()


def test_a_class_with_one_sample_is_kept_apart_without_harm() -> None:
    x, hard = separable(60)
    x[7], hard[7] = 6.0, 3
    solution, _ = logistic.solve(x, np.eye(4)[hard])
    answers = solution.logits(x).argmax(axis=1)
    assert np.isfinite(solution.weight).all()
    assert (np.delete(answers, 7) == np.delete(hard, 7)).all()


def test_a_class_without_samples_is_never_answered() -> None:
    x, hard = separable(60)
    solution, _ = logistic.solve(x, np.eye(5)[hard])
    assert set(solution.logits(x).argmax(axis=1)) <= {0, 1, 2}
    assert softmax(solution.logits(x), axis=1)[:, 3:].max() < 0.05


def test_constant_features_carry_no_weight() -> None:
    x, hard = separable(60)
    x = np.concatenate([x, np.full((60, 2), [1e4, 0.1])], axis=1)
    solution, _ = logistic.solve(x, np.eye(3)[hard])
    assert (solution.weight[:, 6:] == 0).all()
    assert (solution.logits(x).argmax(axis=1) == hard).all()
    nothing, _ = logistic.solve(np.ones((20, 3)), np.eye(2)[np.arange(20) % 2])
    assert (nothing.weight == 0).all()


@pytest.mark.parametrize("n", [2, 3, 10])
def test_a_handful_of_samples_is_enough(n: int) -> None:
    x, hard = separable(n)
    solution, _ = logistic.solve(x, np.eye(3)[hard])
    assert np.isfinite(solution.weight).all()
    assert solution.gradient <= 1e-8


def test_a_class_its_sources_never_show_is_unknown_not_negative() -> None:
    """Half of the samples come from a source without class 2; on them it must not be pushed down."""
    x, hard = separable(120)
    mask = np.ones((120, 3), dtype=bool)
    mask[60:, 2] = False
    y = np.eye(3)[hard]
    y[60:] = np.where(mask[60:] & (y[60:].sum(axis=1) > 0)[:, None], y[60:], 0)
    y[y.sum(axis=1) == 0] = [0.5, 0.5, 0]
    solution, _ = logistic.solve(x, y, supported=mask)
    shown = hard[:60] == 2
    assert (solution.logits(x[:60]).argmax(axis=1)[shown] == 2).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_features_that_are_no_numbers_are_named(bad: float) -> None:
    x, hard = separable(30)
    x[3, 1] = x[9, 0] = bad
    with pytest.raises(DataError, match="2 of 30 samples have features that are not finite numbers"):
        logistic.solve(x, np.eye(3)[hard])


def test_a_penalty_that_is_not_positive_is_a_bug() -> None:
    x, hard = separable(30)
    with pytest.raises(ValueError, match="penalty is 0; expected a positive number"):
        LogisticProblem(x, np.eye(3)[hard]).solve(0)


def test_a_known_head_is_kept_as_far_as_few_samples_do_not_speak_against_it() -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(size=(3, 20))
    x = rng.normal(size=(400, 20))
    truth = (x @ true.T).argmax(axis=1)
    few = slice(0, 12)
    alone, _ = logistic.solve(x[few], np.eye(3)[truth[few]])
    near, _ = logistic.solve(x[few], np.eye(3)[truth[few]], known=(true, np.zeros(3)))
    rest = slice(100, None)

    def right(found: logistic.Solution) -> float:
        return float((found.logits(x[rest]).argmax(axis=1) == truth[rest]).mean())

    assert right(near) > 0.95
    assert right(near) > right(alone) + 0.1
