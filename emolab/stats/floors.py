"""Figures that must not be lower than a number, as ``macro_f1=.75``: for a script that stops a model that got worse."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from emolab.errors import ConfigError, UnknownName

#: Figures of which more is better and that lie between 0 and 1; ``n`` is how many samples were judged.
SHARES = ("accuracy", "macro_f1", "balanced_accuracy", "micro_f1", "exact")
COUNT = "n"
EXAMPLE = "Example: --fail-under macro_f1=.75 --fail-under n=200"


def parse(texts: Iterable[str]) -> dict[str, float]:
    """The floors by the name of their figure, from texts such as ``macro_f1=.75``; the last one of a figure counts.

    >>> parse(["macro_f1=.75", "n=200"])
    {'macro_f1': 0.75, 'n': 200.0}

    Raises :class:`UnknownName` for a figure that there is not, or of which less is better; :class:`ConfigError` for
    what is no number, or one that no figure reaches.
    """
    found: dict[str, float] = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals:
            raise ConfigError(f'"{text}" is not FIGURE=NUMBER.', hint=EXAMPLE)
        if name not in (*SHARES, COUNT):
            raise UnknownName("figure", name, (*SHARES, COUNT), hint=EXAMPLE)
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        most = 1.0 if name in SHARES else 1e9
        if not 0 <= number <= most:
            raise ConfigError(f'"{value}" is no number from 0 to {most:,.0f}, which {name} has.', hint=EXAMPLE)
        found[name] = number
    return found


def below(figures: Mapping[str, Any], floors: Mapping[str, float]) -> list[str]:
    """For each of ``floors`` that ``figures`` do not reach one line in words; a figure without a value reaches none.

    >>> below({"macro_f1": 0.7, "n": 300}, {"macro_f1": 0.75, "n": 200, "exact": 0.1})
    ['macro_f1 is 0.7, below 0.75', 'exact was not measured for this model, and 0.1 was asked for']
    """
    lines = []
    for name, floor in floors.items():
        value = figures.get(name)
        if value is None or math.isnan(value):
            lines.append(f"{name} was not measured for this model, and {floor:g} was asked for")
        elif value < floor:
            lines.append(f"{name} is {value:.6g}, below {floor:g}")
    return lines
