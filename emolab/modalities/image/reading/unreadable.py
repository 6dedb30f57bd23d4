"""The one error of this package: a file that cannot be used as an image."""

from __future__ import annotations

#: Kind of the refusal of a file that opens and shows nothing.
NOTHING = "nothing in it"


class Unreadable(Exception):
    """An image file cannot be used: ``kind`` in a word or two ("truncated", ...), ``message`` in a sentence."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(kind, message)
        self.kind = kind
        self.message = message
