"""What went wrong with one input, as one line of a report."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import PurePath


@dataclass(frozen=True, slots=True)
class Problem:
    """One input that could not be used as it was.

    ``kind`` groups lines in the summary ("empty", "truncated", "not an image", ...); ``taken`` says that the input
    went through all the same, which makes the line a note rather than a failure.
    """

    path: str
    kind: str
    message: str
    taken: bool = False

    def __str__(self) -> str:
        return f"{self.path}: {self.kind}: {self.message}"


class Refused(Exception):
    """One input cannot be used; the others go on. Becomes a :class:`Problem` once the input's name is known."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(kind, message)
        self.kind = kind
        self.message = message

    def at(self, path: str) -> Problem:
        """This verdict as a line of the report about ``path``."""
        return Problem(path, self.kind, self.message)


def shown(path: str | PurePath) -> str:
    """``path`` as text that can be printed and stored: bytes that are not UTF-8 become ``\\xNN``."""
    try:
        return os.fsencode(path).decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # half a letter of UTF-16, which no file name can hold
        return str(path).encode("utf-8", "backslashreplace").decode()


def reason(error: OSError) -> str:
    """What the operating system said, without its number and without the path."""
    return (error.strerror or str(error)).lower()
