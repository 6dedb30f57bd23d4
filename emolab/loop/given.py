"""What callers of a step may give in more than one form, and what they may not give."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from emolab.errors import ConfigError
from emolab.ranges import check


def several(names: str | Iterable[str]) -> list[str]:
    """``names`` as a list, also where a single one was given.

    >>> several("photos"), several(["photos", "web"]), several(())
    (['photos'], ['photos', 'web'], [])
    """
    return [names] if isinstance(names, str) else list(names)


def check_given(given: Mapping[str, float | None]) -> None:
    """Raise :class:`ConfigError` for a number outside of the range under its name; ``None``: not given."""
    for name, value in given.items():
        if value is not None:
            check(name, value)


def check_one_of(**given: object) -> None:
    """Raise :class:`ConfigError` where more than one of the arguments was given, which exclude each other."""
    named = [name for name, value in given.items() if value is not None and value is not False]
    if len(named) > 1:
        raise ConfigError(f"{' and '.join(named)} exclude each other.", hint=f"Give one of {', '.join(given)}.")
