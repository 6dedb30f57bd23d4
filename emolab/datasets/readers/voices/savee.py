"""SAVEE (Haq and Jackson 2009): four men say 120 sentences each in seven emotions.

``DC/a01.wav`` or ``DC_a01.wav``: speaker (DC, JE, JK, KL), then a anger, d disgust, f fear, h happiness, n neutral, sa
sadness or su surprise, and the number of the sentence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from emolab.datasets.readers.reader import Reader, ReaderOptions, Survey
from emolab.datasets.readers.source import SourceTree
from emolab.datasets.readers.voices import named_clips
from emolab.datasets.readers.voices.named_clips import NamedClip
from emolab.records import Record

EMOTIONS = {
    "a": "anger",
    "d": "disgust",
    "f": "fear",
    "h": "happiness",
    "n": "neutral",
    "sa": "sadness",
    "su": "surprise",
}
_NAME = re.compile(r"(?:(DC|JE|JK|KL)[_/])(sa|su|a|d|f|h|n)(\d\d)")
_EXAMPLE = "DC/a01.wav or DC_a01.wav"


def records(path: Path, options: ReaderOptions) -> Iterator[Record]:
    """One record per clip."""
    del options
    with SourceTree(path) as source:
        yield from named_clips.records(source, named_clips.found(source, _parse, "SAVEE", _EXAMPLE))


def survey(path: Path, options: ReaderOptions) -> Survey:
    """How many clips each emotion has."""
    del options
    with SourceTree(path) as source:
        return named_clips.survey(source, named_clips.found(source, _parse, "SAVEE", _EXAMPLE))


def _parse(name: str) -> NamedClip | None:
    whole = PurePosixPath(name).with_suffix("")
    stem = whole.name if "_" in whole.name else f"{whole.parent.name}/{whole.name}"
    match = _NAME.fullmatch(stem)
    if match is None:
        return None
    return NamedClip(name, f"{match[1]}_{match[2]}{match[3]}", EMOTIONS[match[2]], match[1])


read = Reader(
    stream=records,
    survey=survey,
    supported=tuple(EMOTIONS.values()),
    perspective="intended",
    licence="research use, after registration",
)
