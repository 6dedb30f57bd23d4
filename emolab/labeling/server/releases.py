"""The releases of Label Studio that emolab was really tried with, and what to say about others."""

from __future__ import annotations

#: Push, answers, pull and status ran against a server of each: oldest first.
TRIED = ("1.16.0", "1.20.0", "1.22.0", "1.23.2")


def untried(release: str) -> str:
    """Return why a server's release may behave differently, in words; empty for one within what was tried.

    >>> untried("1.21.0")
    ''
    >>> untried("1.99.0")
    'Label Studio 1.99.0 is newer than any release emolab was tried with (1.16 to 1.23).'
    """
    oldest, newest = number(TRIED[0]), number(TRIED[-1])
    span = f"emolab was tried with ({'.'.join(map(str, oldest))} to {'.'.join(map(str, newest))})."
    here = number(release)
    if oldest <= here <= newest:
        return ""
    return f"Label Studio {release} is {'older' if here < oldest else 'newer'} than any release {span}"


def number(release: str) -> tuple[int, ...]:
    """Return major and minor number; what is no number counts as 0."""
    return tuple(int(part) if part.isdigit() else 0 for part in release.split(".")[:2])
