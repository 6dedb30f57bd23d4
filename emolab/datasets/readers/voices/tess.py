"""TESS (Pichora-Fuller and Dupuis 2020): two women say "Say the word ..." with 200 words in seven emotions.

``OAF_back_angry.wav``: speaker (OAF, the older, or YAF, the younger), word, emotion; ``ps`` is pleasant surprise. With
two speakers it tells little about people: emolab pools it into no headline figure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from emolab.datasets.readers.reader import Reader, ReaderOptions, Survey
from emolab.datasets.readers.source import SourceTree
from emolab.datasets.readers.voices import named_clips
from emolab.datasets.readers.voices.named_clips import NamedClip
from emolab.records import Record

#: One file of the original is called OA_bite_neutral.
_NAME = re.compile(r"(OAF?|YAF)_[A-Za-z-]+_(angry|disgust|fear|happy|neutral|ps|sad)", re.IGNORECASE)
_EXAMPLE = "OAF_angry/OAF_back_angry.wav"


def records(path: Path, options: ReaderOptions) -> Iterator[Record]:
    """One record per clip."""
    del options
    with SourceTree(path) as source:
        yield from named_clips.records(source, named_clips.found(source, _parse, "TESS", _EXAMPLE))


def survey(path: Path, options: ReaderOptions) -> Survey:
    """How many clips each emotion has."""
    del options
    with SourceTree(path) as source:
        return named_clips.survey(source, named_clips.found(source, _parse, "TESS", _EXAMPLE))


def _parse(name: str) -> NamedClip | None:
    stem = named_clips.stem(name)
    match = _NAME.fullmatch(stem)
    if match is None:
        return None
    speaker = "YAF" if match[1].upper() == "YAF" else "OAF"
    return NamedClip(name, stem, match[2].lower(), speaker)


read = Reader(
    stream=records,
    survey=survey,
    supported=("anger", "disgust", "fear", "happiness", "neutral", "surprise", "sadness"),
    perspective="intended",
    licence="CC BY-NC-ND 4.0",
)
