"""Trying again what may succeed a moment later."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import sleep
from typing import TypeVar

from emolab.errors import ServerError

R = TypeVar("R")

#: Seconds between one attempt and the next.
PAUSES = (1.0, 4.0)
#: The longest that a server's own wish (``Retry-After``) is followed.
LONGEST_PAUSE = 30.0


class TryLater(ServerError):
    """A failure that may be gone in ``after`` seconds, which the server itself named; ``None``: it named none."""

    def __init__(self, message: str, *, status: int | None = None, after: float | None = None) -> None:
        super().__init__(message, status=status, retryable=True)
        self.after = after


def attempt(send: Callable[[], R], *, pauses: Sequence[float] = PAUSES) -> R:
    """What ``send`` returns; after a :class:`TryLater` again, at most once for each of ``pauses``.

    Raises the last failure, saying how often it was tried.
    """
    for pause in pauses:
        try:
            return send()
        except TryLater as failed:
            sleep(pause if failed.after is None else min(max(failed.after, 0.0), LONGEST_PAUSE))
    try:
        return send()
    except TryLater as failed:
        message = f"{failed.message.removesuffix('.')}, {len(pauses) + 1} times."
        raise ServerError(message, status=failed.status, retryable=True) from None
