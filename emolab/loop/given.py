"""What callers of a step may give in more than one form."""

from __future__ import annotations

from collections.abc import Iterable


def several(names: str | Iterable[str]) -> list[str]:
    """``names`` as a list, also where a single one was given.

    >>> several("photos"), several(["photos", "web"]), several(())
    (['photos'], ['photos', 'web'], [])
    """
    return [names] if isinstance(names, str) else list(names)
