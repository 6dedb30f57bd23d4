"""From files of sentences to samples: each sentence in one form, masked, stored as UTF-8."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from emolab.files import TooLarge, open_file, read_file
from emolab.modalities.audio.reading.sound_contents import HEAD, container, text_in
from emolab.modalities.audio.sound_names import RECORDINGS
from emolab.modalities.intake import Excerpt, FileNames, IngestOptions, Measured, Piece
from emolab.modalities.problems import Problem, Refused, reason
from emolab.modalities.text.rows import text_rows
from emolab.modalities.text.sentence import StoredSentence, decoded, store_form
from emolab.modalities.text.text_names import TEXT_FILES

if TYPE_CHECKING:
    from PIL import Image

    from emolab.modalities.text.transcripts.spoken_sentence import SpokenSentence
    from emolab.modalities.text.transcripts.whisper_folder import Transcriber

#: Problems of single sentences that one file may list; more are counted in one line.
MOST_LISTED = 20


class TextIntake:
    """Sentences of TXT, CSV, TSV and JSON Lines; of recordings too, where a whisper model writes them down."""

    def __init__(self, options: IngestOptions) -> None:
        self._options = options
        self._transcriber: Transcriber | None = None
        if options.transcriber:
            from emolab.modalities.text.transcripts.whisper_folder import Transcriber

            self._transcriber = Transcriber(options.transcriber, language=options.spoken)

    @property
    def files(self) -> FileNames:
        """Files of text; with a whisper model recordings and videos too."""
        return TEXT_FILES if self._transcriber is None else replace(TEXT_FILES, recordings=RECORDINGS)

    def pieces(self, media: bytes | Path | Image.Image | Excerpt, name: str, notes: list[Problem]) -> Iterator[Piece]:
        """The sentences of one file, or of a part of a recording, in order; what cannot be kept is in ``notes``."""
        if isinstance(media, Excerpt) or (isinstance(media, bytes | Path) and self._is_recording(media)):
            yield from self._spoken(media, name, notes)
            return
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

    def _is_recording(self, media: bytes | Path) -> bool:
        """Whether ``media`` is a sound or a video. Raises :class:`Refused` where nobody can write down what it says."""
        if isinstance(media, Path):
            try:
                with open_file(media) as stream:
                    head = stream.read(HEAD)
            except OSError as error:
                raise Refused("unreadable", reason(error)) from error
        else:
            head = media[:HEAD]
        try:
            _, kind = container(head)
        except Refused:
            return False
        if text_in(head) is not None:  # "MAC users ..." begins like Monkey's Audio
            return False
        if self._transcriber is None:
            message = f"a recording ({kind}); what is said in it is written down with --set collect.transcriber=DIR"
            raise Refused("not text", message)
        return True

    def _spoken(self, media: bytes | Path | Excerpt, name: str, notes: list[Problem]) -> Iterator[Piece]:
        """What is said in ``media``; one sentence where a label belongs to the whole of it."""
        from emolab.modalities.text.transcripts.spoken_sentence import joined
        from emolab.modalities.text.transcripts.transcribing import sentences_of, transcribed

        if self._transcriber is None:
            raise Refused("not text", "a part of a recording")
        if isinstance(media, Excerpt):
            said = iter(sentences_of(media, self._transcriber, notes, name=name))
        else:
            said = transcribed(media, self._transcriber, notes, name=name)
        if math.isinf(self._options.clip_seconds):
            said = iter((joined(list(said)),))
        for each in said:
            try:
                sentence = store_form(each.text, masking=self._options.masking)
            except Refused as refused:
                notes.append(refused.at(f"{name}@{each.begin:.2f}s"))
                continue
            yield _piece(sentence, None, None, spoken=each)

    def measured(self, pieces: Sequence[Piece]) -> list[Measured]:
        """How long each sentence is, and how many words were masked; nothing is compared but the text itself."""
        found = []
        for piece in pieces:
            sentence: StoredSentence = piece.rest.sentence
            quality = {
                "letters": float(len(sentence.text)),
                "words": float(len(sentence.text.split())),
                "masked": float(sum(sentence.masked.values())),
                **piece.rest.said,
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


@dataclass(frozen=True, slots=True)
class _Measurable:
    """A sentence, and where it was ``said``: seconds, and the probability of its words."""

    sentence: StoredSentence
    said: Mapping[str, float]


def _piece(
    sentence: StoredSentence, number: int | None, group: str | None, *, spoken: SpokenSentence | None = None
) -> Piece:
    said = {} if spoken is None else {"begin": spoken.begin, "sure": spoken.sure}
    place = "" if spoken is None else f"@{spoken.begin:.2f}s"
    return Piece(
        digest=sentence.digest,
        suffix=".txt",
        data=lambda: sentence.data,
        fields={} if spoken is None else {"duration": round(spoken.end - spoken.begin, 3)},
        rest=_Measurable(sentence, said),
        name=place if number is None else f"#{number}",
        group=group,
    )
