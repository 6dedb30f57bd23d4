"""The level of a report and of a year."""

from __future__ import annotations

import numpy as np
import pytest

from emolab.errors import ConfigError
from emolab.monitoring.thresholds import holm, level_of_look


def test_the_looks_of_a_year_spend_the_level_and_no_more() -> None:
    assert 52 * level_of_look(0.05, 52) == pytest.approx(0.05)
    with pytest.raises(ConfigError, match="A level of 0 over 52 looks is none"):
        level_of_look(0, 52)


def test_holm_goes_on_after_the_surest_and_stops_at_the_first_that_fails() -> None:
    assert holm([0.02, 0.01, 0.9], 0.05) == [True, True, False]
    assert holm([0.03, 0.026, 0.001], 0.05) == [False, False, True]
    assert holm([], 0.05) == []


def test_holm_holds_the_level_for_tests_that_depend_on_each_other() -> None:
    rng = np.random.default_rng(0)
    shared = rng.uniform(size=(4000, 1))
    ps = np.where(rng.uniform(size=(4000, 6)) < 0.5, shared, rng.uniform(size=(4000, 6)))
    false = sum(any(holm(row, 0.05)) for row in ps.tolist())
    assert false <= 245  # binomial(4000, 0.05): 200 + 3.3 standard deviations
