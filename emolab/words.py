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


def lasting(seconds: float) -> str:
    """A span of time in the unit people would say it in.

    >>> lasting(40), lasting(600), lasting(9000)
    ('40 seconds', '10 minutes', '2.5 hours')
    """
    if seconds < 90:
        return many(round(seconds), "second")
    return many(round(seconds / 60), "minute") if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def push_command(free: int, n: int) -> str:
    """How to send samples to the team when ``free`` have not been sent: no more than ``n``, so that some are left.

    >>> push_command(30, 100), push_command(141, 100)
    ('emolab label push', 'emolab label push -n 100')
    """
    return f"emolab label push -n {n}" if free > n else "emolab label push"
