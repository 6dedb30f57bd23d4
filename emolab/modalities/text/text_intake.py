"""From files of sentences to samples: each sentence in one form, masked, stored as UTF-8."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from emolab.files import TooLarge, read_file
from emolab.modalities.intake import IngestOptions, Measured, Piece
from emolab.modalities.problems import Problem, Refused, reason
from emolab.modalities.text.rows import text_rows
from emolab.modalities.text.sentence import StoredSentence, decoded, store_form
from emolab.modalities.text.text_names import TEXT_FILES

if TYPE_CHECKING:
    from PIL import Image

#: Problems of single sentences that one file may list; more are counted in one line.
MOST_LISTED = 20


class TextIntake:
    """Sentences of TXT, CSV, TSV and JSON Lines."""

    files = TEXT_FILES

    def __init__(self, options: IngestOptions) -> None:
        self._options = options

    def pieces(self, media: bytes | Path | Image.Image, name: str, notes: list[Problem]) -> Iterator[Piece]:
        """The sentences of one file in order; those that cannot be kept are in ``notes``."""
        if not isinstance(media, bytes | Path):
            raise Refused("not text", "a picture of a camera or video")
        data = media if isinstance(media, bytes) else self._read(media)
        if math.isinf(self._options.clip_seconds):  # a label belongs to the whole of the input
            yield _piece(store_form(decoded(data), masking=self._options.masking), None, None)
            return
        problems: list[Problem] = []
        kept = 0
        for row in text_rows(data, name, column=self._options.text_column or None):
            if isinstance(row, Problem):
                problems.append(row)
                continue
            try:
                sentence = store_form(row.text, masking=self._options.masking)
            except Refused as refused:
                problems.append(refused.at(f"{name}#{row.number}"))
                continue
            kept += 1
            yield _piece(sentence, row.number, row.group)
        notes.extend(problems[:MOST_LISTED])
        if (more := len(problems) - MOST_LISTED) > 0:
            notes.append(Problem(name, "more of them", f"{more:,} more sentences cannot be used"))
        if not kept and not problems:
            raise Refused("empty", "the file holds no sentence")

    def measured(self, pieces: Sequence[Piece]) -> list[Measured]:
        """How long each sentence is, and how many words were masked; nothing is compared but the text itself."""
        found = []
        for piece in pieces:
            sentence: StoredSentence = piece.rest
            quality = {
                "letters": float(len(sentence.text)),
                "words": float(len(sentence.text.split())),
                "masked": float(sum(sentence.masked.values())),
            }
            found.append(Measured(quality, np.zeros((1, 1), np.uint8)))
        return found

    def _read(self, path: Path) -> bytes:
        try:
            return read_file(path, limit=self._options.max_bytes)
        except OSError as error:
            raise Refused("unreadable", reason(error)) from error
        except TooLarge as error:
            raise Refused("too large", f"{error} (collect.max_bytes)") from error


def _piece(sentence: StoredSentence, number: int | None, group: str | None) -> Piece:
    return Piece(
        digest=sentence.digest,
        suffix=".txt",
        data=lambda: sentence.data,
        fields={},
        rest=sentence,
        name="" if number is None else f"#{number}",
        group=group,
    )
