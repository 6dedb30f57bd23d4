"""The server's moments as times: whatever zone or precision they are written in, they are compared as times."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from emolab.records import moment

__all__ = ["LONG_AGO", "moment", "newest", "written"]
#: Earlier than every answer: where it is not known when one was given.
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"


def written(time: datetime) -> str:
    """The one way a time is written in the catalog and in questions to the server: UTC, microseconds, ``Z``."""
    return time.astimezone(UTC).strftime(_FORMAT)


def newest(texts: Iterable[str]) -> datetime | None:
    """The latest of these stamps; ``None`` when none of them is a time."""
    return max((time for time in map(moment, texts) if time is not None), default=None)
