"""From a recording, or a part of one, to the sentences said in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from emolab.modalities.audio.reading import RATE
from emolab.modalities.audio.speech_parts import middle_pause, speech_parts
from emolab.modalities.audio.voice import voiced
from emolab.modalities.intake import Excerpt
from emolab.modalities.problems import Problem
from emolab.modalities.text.transcripts.spoken_sentence import REPEATED, SpokenSentence, disbelief, sentences
from emolab.modalities.text.transcripts.whisper_folder import HeardStretch, HeardWord, Transcriber

#: The kind of note of what is left out because nobody said it.
LEFT_OUT = "not believed"
#: Seconds below which a part is not heard again in halves.
_SHORTEST_HALVED = 6.0


def transcribed(
    media: bytes | Path, transcriber: Transcriber, notes: list[Problem], *, name: str = ""
) -> Iterator[SpokenSentence]:
    """The sentences in the sound file or video ``media``, of any length, as they are heard.

    ``notes`` gets what had to be assumed and what was left out, under ``name`` or that of the file. Raises
    :class:`emolab.modalities.problems.Refused` for what cannot be heard, as collecting clips does.
    """
    name = name or (str(media) if isinstance(media, Path) else "recording")
    transcriber.load()
    for part in speech_parts(media, name, notes):
        yield from sentences_of(part, transcriber, notes, name=name)


def sentences_of(part: Excerpt, transcriber: Transcriber, notes: list[Problem], *, name: str) -> list[SpokenSentence]:
    """The sentences in one ``part`` of the recording ``name``; a note for each stretch that nobody said."""
    found: list[SpokenSentence] = []
    for piece, stretches in _heard(part, transcriber):
        words: list[HeardWord] = []
        for stretch in stretches:
            why = disbelief(stretch)
            if why is None:
                words.extend(stretch.words)
            elif stretch.words:
                place = piece.begin + stretch.words[0].begin
                notes.append(Problem(f"{name}@{place:.2f}s", LEFT_OUT, f"left out: {why}", taken=True))
        found.extend(sentences(words, voiced(piece.samples), begin=piece.begin))
    return found


def _heard(part: Excerpt, transcriber: Transcriber) -> Iterator[tuple[Excerpt, list[HeardStretch]]]:
    """What is heard in ``part``. Where the same words come again and again, its two halves are heard by themselves.

    Whisper falls into such loops; people who do repeat themselves are heard in the halves all the same.
    """
    found = transcriber(part.samples)
    if len(part.samples) < _SHORTEST_HALVED * RATE or all(each.repeats <= REPEATED for each in found):
        yield part, found
        return
    at = middle_pause(part.samples)
    yield from _heard(Excerpt(part.begin, part.samples[:at]), transcriber)
    yield from _heard(Excerpt(part.begin + at / RATE, part.samples[at:]), transcriber)
