"""How embeddings are read: chunks, half precision, directions and what cannot be used."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from emolab.active_learning.selection import space
from emolab.active_learning.selection.space import Space

EVERY_HALF = np.arange(2**16, dtype=np.uint16).view(np.float16)[:, None]


def over(values: NDArray[np.floating]) -> Space:
    return Space.over(values, np.arange(len(values)))


def test_every_half_precision_number_becomes_the_same_single_one() -> None:
    read = over(EVERY_HALF).values(slice(None))
    finite = np.isfinite(EVERY_HALF)
    assert (read[finite] == EVERY_HALF[finite].astype(np.float32)).all()
    assert np.isnan(read[~finite]).all()


def test_infinity_and_nan_cannot_be_used_and_zero_has_no_direction() -> None:
    points = over(np.array([[3.0, 4.0], [np.nan, 1.0], [np.inf, 1.0], [0.0, 0.0]], dtype=np.float16))
    assert points.usable.tolist() == [True, False, False, True]
    assert points.units(np.array([0, 3])).tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [0.0, 0.0]]
    assert [values.tolist() for _, values in points.chunks()] == [[[3, 4], [0, 0], [0, 0], [0, 0]]]


def test_numbers_too_large_to_have_a_length_cannot_be_used() -> None:
    assert over(np.array([[1e30, 1e30], [1.0, 0.0]], dtype=np.float32)).usable.tolist() == [False, True]


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_distances_are_those_of_directions_whatever_the_chunks(kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(size=(300, 7)).astype(kind)
    values[5], values[9] = 0, np.nan
    units = values / np.maximum(np.linalg.norm(values.astype(np.float64), axis=1, keepdims=True), 1e-9)
    centers = np.array([5, 20, 30, 40, 250])
    wanted = ((units[:, None] - units[None, centers]) ** 2).sum(axis=2).min(axis=1)
    wanted[9] = np.inf
    answers = []
    for chunk, width in [(256, 256), (7, 2), (1000, 3)]:
        monkeypatch.setattr(space, "CHUNK", chunk)
        monkeypatch.setattr(space, "CENTERS", width)
        points = over(values)
        nearest = np.full(300, np.inf, dtype=np.float32)
        points.approach(nearest, points.units(centers))
        answers.append(nearest)
    np.testing.assert_allclose(answers[0], wanted, atol=2e-6)
    np.testing.assert_allclose(answers[1], answers[0], atol=2e-6)
    np.testing.assert_allclose(answers[2], answers[0], atol=2e-6)


def test_the_most_central_point_is_the_one_nearest_to_the_mean_direction() -> None:
    angles = np.array([0.0, 0.1, 0.5, 2.0])
    points = over(np.stack([np.cos(angles), np.sin(angles)], axis=1) * np.array([[9.0], [1.0], [2.0], [5.0]]))
    assert points.most_central() == 2
