"""Quality of pictures, sounds or sentences: every column that was measured, by its ranks.

Of a column that has nearly always the same value in the reference, such as 0, it is counted how often the window has
another one, by the exact test of Fisher (1922). The level is that of all columns together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import hypergeom

from emolab.monitoring import mean_shift
from emolab.monitoring.detectors import Finding, MeanTest, Test
from emolab.monitoring.ranks import change, waves
from emolab.monitoring.reference import Floats, Observations

#: Rows of the reference with another value than the commonest one, from which a column is looked at by its ranks: a
#: mean of fewer is not known well enough.
FEWEST_OTHER = 30


def detect(reference: Observations) -> Test | None:
    """A test of all columns of quality together; ``None`` where none was measured."""
    rare = [one for one in (_usual(name, column) for name, column in sorted(reference.quality.items())) if one.few]
    names = sorted(set(reference.quality) - {one.name for one in rare})
    by_ranks = _by_ranks(reference, names) if names else None
    if not rare:
        return by_ranks

    def test(window: Observations) -> Finding:
        if not len(window):
            return Finding(statistic=0.0, p=1.0)
        found = [_counted(one, window.quality[one.name]) for one in rare]
        found += [] if by_ranks is None else [by_ranks(window)]
        surest = sorted(found, key=lambda each: each.p)
        moved = [words for each in surest for words in each.moved]
        return Finding(statistic=surest[0].statistic, p=min(1.0, len(found) * surest[0].p), moved=tuple(moved[:3]))

    return test


def _by_ranks(reference: Observations, names: Sequence[str]) -> MeanTest:
    """A test of the columns ``names``."""

    def features(seen: Observations) -> NDArray[np.float64]:
        return np.concatenate([waves(reference.quality[name], seen.quality[name]) for name in names], axis=1)

    fitted = mean_shift.fit(features(reference), learned=True)
    alone = {
        name: mean_shift.fit(waves(reference.quality[name], reference.quality[name]), learned=True) for name in names
    }

    def words(window: Observations) -> tuple[str, ...]:
        def p(name: str) -> float:  # which columns to name; the level is that of all together
            made = waves(reference.quality[name], window.quality[name])
            return alone[name].test(made.mean(axis=0), len(made))[1]

        order = sorted(names, key=p)
        return tuple(f"{name} {change(reference.quality[name], window.quality[name])}" for name in order[:3])

    return MeanTest(features=features, fitted=fitted, words=words)


@dataclass(frozen=True, kw_only=True)
class _Usual:
    """The commonest ``value`` of a column of the reference, and in how many of ``n`` rows it is ``other``."""

    name: str
    value: float
    other: int
    n: int

    @property
    def few(self) -> bool:
        return self.other < FEWEST_OTHER


def _usual(name: str, column: Floats) -> _Usual:
    values, counts = np.unique(column, return_counts=True)
    return _Usual(name=name, value=float(values[counts.argmax()]), other=int(len(column) - counts.max()), n=len(column))


def _counted(usual: _Usual, column: Floats) -> Finding:
    """Whether a window has other values than the usual one more often."""
    m, other = len(column), int((column != usual.value).sum())
    p = float(hypergeom.sf(other - 1, usual.n + m, usual.other + other, m))
    expected = (usual.other + 1) / (usual.n + 2)
    moved = f"{usual.name} other than {usual.value:.3g} {usual.other / usual.n:.1%} -> {other / m:.1%}"
    return Finding(statistic=other / m / expected, p=p, moved=(moved,) if other / m > usual.other / usual.n else ())
