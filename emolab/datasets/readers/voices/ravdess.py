"""RAVDESS (Livingstone and Russo 2018): 24 actors speak and sing two sentences in eight emotions, named by numbers.

``Actor_12/03-01-06-01-02-01-12.wav``: modality (03 sound, 01 with picture, 02 picture alone), channel (01 speech, 02
song), emotion, intensity, statement, repetition, actor. The label is what the actor was asked to show.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from emolab.datasets.readers.reader import Reader, ReaderOptions, Survey
from emolab.datasets.readers.source import SourceTree
from emolab.datasets.readers.voices import named_clips
from emolab.datasets.readers.voices.named_clips import NamedClip
from emolab.errors import DataError, UnknownName
from emolab.records import Record

EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
CHANNELS = {"speech": ("01",), "song": ("02",), "both": ("01", "02")}
CALM = ("calm", "neutral", "drop")
OPTIONS = {
    "channel": "speech, song or both (default both)",
    "calm": "what becomes of calm: calm (default: a class of its own), neutral (folded into it) or drop",
}
_NAME = re.compile(r"(0[13])-(0[12])-0([1-8])-0[12]-0[12]-0[12]-(\d\d)")
_EXAMPLE = "Actor_12/03-01-06-01-02-01-12.wav"


def records(path: Path, options: ReaderOptions) -> Iterator[Record]:
    """One record per clip."""
    with SourceTree(path) as source:
        yield from named_clips.records(source, _clips(source, options))


def survey(path: Path, options: ReaderOptions) -> Survey:
    """How many clips each emotion has."""
    with SourceTree(path) as source:
        return named_clips.survey(source, _clips(source, options))


def _clips(source: SourceTree, options: ReaderOptions) -> list[NamedClip]:
    """The clips asked for; of an utterance that is there with and without picture, the one without."""
    channel, calm = options.get("channel", "both"), options.get("calm", "calm")
    if channel not in CHANNELS:
        raise UnknownName("channel of RAVDESS", channel, CHANNELS)
    if calm not in CALM:
        raise UnknownName("way with calm", calm, CALM)

    def parse(name: str) -> NamedClip | None:
        match = _NAME.fullmatch(named_clips.stem(name))
        if match is None:
            return None
        label = EMOTIONS[int(match[3]) - 1]
        label = calm if label == "calm" else label
        return NamedClip(name, named_clips.stem(name), label, f"Actor_{match[4]}")

    clips = named_clips.found(source, parse, "RAVDESS", _EXAMPLE)
    alone = {clip.key[2:] for clip in clips if clip.key.startswith("03")}
    wanted = [
        clip
        for clip in clips
        if clip.key[3:5] in CHANNELS[channel]
        and clip.label != "drop"
        and (clip.key.startswith("03") or clip.key[2:] not in alone)
    ]
    if not wanted:
        raise DataError(f"{source.path} holds no {channel} of RAVDESS.", hint="Leave out -o channel.")
    return wanted


read = Reader(
    stream=records,
    survey=survey,
    supported=("neutral", "calm", "happiness", "sadness", "anger", "fear", "disgust", "surprise"),
    perspective="intended",
    licence="CC BY-NC-SA 4.0",
    options=OPTIONS,
)
