"""A full disk, explained."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from emolab.errors import DISK_FULL, EmolabError


@contextmanager
def room() -> Iterator[None]:
    """Turn the ``OSError`` of a full disk inside the block into an :class:`EmolabError` that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        what = f"{error.filename} could not be written" if error.filename else "a file could not be written"
        raise EmolabError(
            f"The disk is full: {what} ({error.strerror}). What was trained up to the last state is kept.",
            hint="Free some space and run the same command again; it goes on.",
        ) from error
