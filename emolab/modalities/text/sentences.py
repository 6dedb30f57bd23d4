"""Sentences as a modality."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emolab.modalities.modality import FormElement, Measures, OwnNetwork
from emolab.modalities.preparing import Prepared, Preprocessing, Unprepared, name_of
from emolab.modalities.problems import Refused
from emolab.modalities.text.sentence import read_sentence

#: Width and height of the picture that stands for a sentence, letters in a line of it, and lines.
THUMBNAIL, ACROSS, DOWN = (128, 128), 19, 9
_LINE, _MARGIN, _SIZE = 13, 5, 10.5  # pixels
_FONT = "system-ui, 'Noto Sans', 'DejaVu Sans', sans-serif"
_WIDE = frozenset("WF")


class NoNetwork(Unprepared):
    """A sentence where a network wants a picture: sentences have models of their own."""

    KIND = "a sentence"


class TextModality:
    """Written sentences."""

    name = "text"
    noun = "sentence"
    settings: Mapping[str, str] = {}
    speakers = False
    network: OwnNetwork | None = None
    form = FormElement("Text", {"valueType": "url", "saveTextResult": "no"})
    endings = ".txt, .csv, .jsonl"
    in_fiftyone = False
    several_labels = True
    drawing: Callable[[bytes, tuple[int, int]], bytes] | None = None
    disguise: Callable[[bytes, float], bytes] | None = None
    measures: Measures | None = None
    shown = "text in UTF-8"
    thumbnail_type = "image/svg+xml"

    def file_type(self, data: bytes) -> tuple[str, str] | None:
        """Plain text, where it is one sentence."""
        try:
            read_sentence(data)
        except Refused:
            return None
        return "txt", "text/plain"

    def thumbnail(self, data: bytes, *, max_pixels: int) -> bytes:  # noqa: ARG002
        """The first words as an SVG, dark on white: a browser has letters of every script, an image library has not."""
        text = read_sentence(data)
        wide = sum(unicodedata.east_asian_width(sign) in _WIDE for sign in text)
        lines = textwrap.wrap(text, ACROSS // 2 if 3 * wide > len(text) else ACROSS)
        if len(lines) > DOWN:
            lines = [*lines[: DOWN - 1], "…"]
        width, height = THUMBNAIL
        rows = "".join(
            f'<text x="{_MARGIN}" y="{_MARGIN + _LINE * (i + 1) - 3}">{escape(line)}</text>'
            for i, line in enumerate(lines)
        )
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}"><rect width="{width}" height="{height}" fill="#fff"/>'
            f'<g fill="#111" font-family="{_FONT}" font-size="{_SIZE}">{rows}</g></svg>'
        ).encode()

    def recognises(self, head: bytes) -> bool:  # noqa: ARG002
        """Never: any bytes may be text, so only a workspace or a reader says that they are."""
        return False

    def gray(self, media: bytes | Path) -> NDArray[np.uint8]:
        """A picture whose pixels are the sentence's own bytes, so that only the same sentence looks the same."""
        try:
            data = read_sentence(media).encode()
        except Refused as refused:
            raise NoNetwork(name_of(media), f"{refused.kind}: {refused.message}") from refused
        side = int(np.ceil(np.sqrt(len(data))))
        return np.frombuffer(data.ljust(side * side, b" "), np.uint8).reshape(side, side)

    def color(self, media: Sequence[bytes | Path]) -> str:  # noqa: ARG002
        """``gray``, which is never asked for: sentences have models of their own."""
        return "gray"

    def prepare(self, media: bytes | Path, wanted: Preprocessing, *, max_pixels: int | None = None) -> Prepared:  # noqa: ARG002
        """Raise :class:`NoNetwork`: no network here reads sentences."""
        raise NoNetwork(name_of(media), "no network reads sentences; they have models of their own")

    def decode(self, media: bytes | Path, wanted: Preprocessing) -> NDArray[np.uint8]:
        """Raise :class:`NoNetwork`."""
        return self.prepare(media, wanted).pixels

    def described(self, wanted: Preprocessing) -> dict[str, Any]:
        """Raise :class:`NoNetwork`: no exported network reads sentences."""
        raise NoNetwork("a sentence", f"no network reads sentences at {wanted.size} pixels")
