"""Numbers with their nouns and ids at one length, the same in every command."""

from __future__ import annotations

ID_DIGITS = 10


def many(n: int, one: str, several: str | None = None) -> str:
    """``n`` with its noun; ``several`` is the plural where it is more than the noun with an s.

    >>> many(1, "sample"), many(1204, "sample"), many(0, "person", "people")
    ('1 sample', '1,204 samples', '0 people')
    """
    return f"{n:,} {one if n == 1 else several or one + 's'}"


def short(identity: str) -> str:
    """The start of a sample's, model's or version's id, as it is shown and may be typed."""
    return identity[:ID_DIGITS]
