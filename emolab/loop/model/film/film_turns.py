"""Turns of a video: what is said in one go, with the face that says it where only one is there, put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emolab.loop.model.film.film_voice import VoiceStretch
    from emolab.modalities.text.captions import Caption
    from emolab.serving.live.timeline import FaceSummary
    from emolab.stats.fusion import Fuser

#: Shares of a turn in which a face must be there to count as the speaker's, and in which another one spoils that.
_THERE, _OTHER = 0.5, 0.1
#: Share of a turn, or of a stretch of voice, that must lie in the other to belong together.
_OVERLAP = 0.5
#: The names of the channels.
FACE, VOICE, WORDS = "face", "voice", "words"
#: How one is left out.
NONE = "none"


@dataclass(frozen=True, kw_only=True)
class Turn:
    """From second ``begin`` to ``end``. ``speaker`` is who the transcript says, else the only face, else ``None``.

    ``face`` is the track that counts as the speaker's; where there is none ``why`` says so. ``said`` maps a channel to
    its probabilities by its own classes, ``together`` (K,) are those of all of them, ``None`` where nothing was said.
    """

    begin: float
    end: float
    text: str | None = None
    speaker: str | None = None
    face: int | None = None
    why: str | None = None
    said: Mapping[str, NDArray[np.floating]] = field(default_factory=dict)
    together: NDArray[np.float64] | None = None


def make_turns(
    faces: Sequence[FaceSummary],
    voices: Sequence[VoiceStretch],
    captions: Sequence[tuple[Caption, NDArray[np.float64] | None]],
    fuser: Fuser,
    *,
    looked: bool,
) -> list[Turn]:
    """The captions, and the stretches of voice that no caption covers, in the order of time.

    ``captions`` come with what a model of words says of them; ``looked``: faces were looked for.
    """
    spans: list[tuple[float, float, Caption | None, NDArray[np.float64] | None]] = [
        (caption.begin, caption.end, caption, probs) for caption, probs in captions
    ]
    spans += [(voice.begin, voice.end, None, None) for voice in voices if not _covered(voice, captions)]
    turns = []
    for begin, end, caption, words in sorted(spans, key=lambda span: span[:2]):
        face, why = _speaking(faces, begin, end) if looked else (None, None)
        heard = _voice(voices, begin, end)
        given = {FACE: None if face is None else _face(face, begin, end), VOICE: heard, WORDS: words}
        said = {name: probs for name, probs in given.items() if probs is not None}
        named = caption.speaker if caption is not None else None
        turns.append(
            Turn(
                begin=begin,
                end=end,
                text=None if caption is None else caption.text,
                speaker=named or (None if face is None else f"face {face.track}"),
                face=None if face is None else face.track,
                why=why,
                said=said,
                together=fuser.fuse(said),
            )
        )
    return turns


def _covered(voice: VoiceStretch, captions: Sequence[tuple[Caption, object]]) -> bool:
    """Whether half of ``voice`` is written down."""
    written = sum(_overlap(voice.begin, voice.end, caption.begin, caption.end) for caption, _ in captions)
    return written >= _OVERLAP * (voice.end - voice.begin)


def _overlap(begin: float, end: float, other: float, until: float) -> float:
    return max(0.0, min(end, until) - max(begin, other))


def _voice(voices: Sequence[VoiceStretch], begin: float, end: float) -> NDArray[np.floating] | None:
    """The mean of the stretches that lie in the turn by half of themselves or of it, by the time they share with it."""
    shared = [(_overlap(voice.begin, voice.end, begin, end), voice) for voice in voices]
    kept = [
        (time, voice)
        for time, voice in shared
        if time > 0 and time >= _OVERLAP * min(end - begin, voice.end - voice.begin)
    ]
    if not kept:
        return None
    weights = np.array([time for time, _ in kept])
    stacked = np.stack([voice.probs for _, voice in kept]).astype(np.float64)
    mean: NDArray[np.floating] = weights @ stacked / weights.sum()
    return mean


def _inside(face: FaceSummary, begin: float, end: float) -> NDArray[np.bool_]:
    """Which ``times`` (m,) of a face lie between ``begin`` and ``end``, with half a step on either side."""
    found: NDArray[np.bool_] = (face.times >= begin - face.step / 2) & (face.times <= end + face.step / 2)
    return found


def _there(face: FaceSummary, begin: float, end: float) -> float:
    """In which share of the time from ``begin`` to ``end`` a face is there."""
    inside = _inside(face, begin, end).sum()
    return min(1.0, float(inside) * face.step / max(end - begin, face.step))


def _speaking(faces: Sequence[FaceSummary], begin: float, end: float) -> tuple[FaceSummary | None, str | None]:
    """The only face that is there, or why none counts as the speaker's."""
    there = sorted(((_there(face, begin, end), face) for face in faces), key=lambda found: -found[0])
    seen = [found for found in there if found[0] >= _OTHER]
    if not seen or seen[0][0] < _THERE:
        return None, "no face in the picture" if len(seen) < 2 else "no face for half of the time"
    if len(seen) > 1:
        return None, f"{len(seen)} faces in the picture"
    return seen[0][1], None


def _face(face: FaceSummary, begin: float, end: float) -> NDArray[np.float64]:
    """What a face showed in a turn, on average."""
    mean: NDArray[np.float64] = face.shares[_inside(face, begin, end)].mean(axis=0)
    return mean
