"""One look at the newest windows: every detector over every span, and which of them raise an alarm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emolab.errors import DataError
from emolab.monitoring.detectors import FEWEST_SEEN, MeanTest, Test
from emolab.monitoring.reference import Observations, alike, check_reference, joined
from emolab.monitoring.thresholds import holm, level_of_look
from emolab.plugins import DETECTORS

#: False alarms in a year: the chance of one or more.
LEVEL = 0.05
#: How many windows, ending with the newest, are taken together: a slow change shows only in many. Each is a test.
SPANS = (1, 4, 13)
#: A p-value from which it is said what moved.
NOTEWORTHY = 0.01


@dataclass(frozen=True, kw_only=True)
class DriftTest:
    """What ``detector`` says about the newest ``windows`` windows, which hold ``n`` samples."""

    detector: str
    windows: int
    n: int
    statistic: float
    p: float
    moved: tuple[str, ...]
    alarm: bool

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {**vars(self), "moved": list(self.moved)}


@dataclass(frozen=True, kw_only=True)
class DriftLook:
    """The tests of one look; ``level`` is what this look may spend of a year's."""

    level: float
    tests: tuple[DriftTest, ...]

    @property
    def alarms(self) -> tuple[DriftTest, ...]:
        """The tests that raised one, the surest first."""
        return tuple(sorted((test for test in self.tests if test.alarm), key=lambda test: test.p))


class Watch:
    """A reference with the detectors that can look at it; ``level`` is the chance of a false alarm in a year of
    ``looks``.

    Raises :class:`DataError` for a reference of fewer than 100 samples, ``UnknownName`` for an unknown detector.
    """

    def __init__(
        self,
        reference: Observations,
        *,
        looks: int = 52,
        level: float = LEVEL,
        detectors: Sequence[str] | None = None,
        lengths: Sequence[int] = SPANS,
    ) -> None:
        check_reference(reference)
        self.reference, self.lengths = reference, tuple(lengths)
        self.level = level_of_look(level, looks)
        made = {name: DETECTORS.load(name)(reference) for name in detectors or DETECTORS.names()}
        self.tests: dict[str, Test] = {name: test for name, test in made.items() if test is not None}
        self._means: dict[tuple[str, int], tuple[Observations, int, NDArray[np.float64]]] = {}
        #: Detectors whose columns the reference lacks.
        self.left_out = tuple(name for name, test in made.items() if test is None)

    def look(self, seen: Sequence[Observations]) -> DriftLook:
        """What the newest of the windows ``seen`` says, alone and with those before it.

        Raises :class:`DataError` where a window has other classes or columns than the reference.
        """
        for window in seen[-max(self.lengths) :]:
            if not alike(window, self.reference):
                raise DataError(
                    "The window is not of the reference's model: other classes or columns.",
                    hint="Compare a model with what the same model saw.",
                )
        found = []
        for length in self.lengths:
            span = list(seen[-length:])
            if len(span) == length and len(span[-1]) and sum(map(len, span)) >= FEWEST_SEEN:
                found += [(name, length, span, *self._tested(name, span)) for name in self.tests]
        self._forget(seen)
        raised = holm([p for *_, p in found], self.level)
        tests = [
            DriftTest(
                detector=name, windows=length, n=sum(map(len, span)), statistic=statistic, p=p,
                moved=self.tests[name](joined(span)).moved if p < NOTEWORTHY else (), alarm=alarm,
            )
            for (name, length, span, statistic, p), alarm in zip(found, raised, strict=True)
        ]  # fmt: skip
        return DriftLook(level=self.level, tests=tuple(tests))

    def _tested(self, name: str, span: Sequence[Observations]) -> tuple[float, float]:
        """Statistic and p-value of the windows of ``span`` together, from their means where those are enough."""
        test = self.tests[name]
        if not isinstance(test, MeanTest):
            found = test(joined(span))
            return found.statistic, found.p
        means = [self._mean(name, test, window) for window in span]
        rows = sum(m for m, _ in means)
        together = np.sum([m * mean for m, mean in means], axis=0) / max(1, rows)
        return test.fitted.test(together, rows)

    def _mean(self, name: str, test: MeanTest, window: Observations) -> tuple[int, NDArray[np.float64]]:
        if (name, id(window)) not in self._means:
            self._means[name, id(window)] = (window, *test.mean(window))
        _, rows, mean = self._means[name, id(window)]
        return rows, mean

    def _forget(self, seen: Sequence[Observations]) -> None:
        """Keep the means of windows that a later look may take again."""
        held = {id(window) for window in seen[-max(self.lengths) :]}
        self._means = {key: value for key, value in self._means.items() if key[1] in held}
