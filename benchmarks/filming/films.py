"""Films that the benchmark of fusion makes: a drawn face, a made voice and a made sentence of one known emotion.

Each of the three shows it by its own chance, sometimes weakly, mixed with another emotion, or through noise. So every
channel errs, and given the emotion the errors of one say nothing about those of another.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from emolab.demonstration.drawn_faces import draw_faces
from emolab.demonstration.voices.made_voices import make_voices
from emolab.taxonomy import PRESETS

#: What is shown. The channels know other lists: faces contempt too, words call happiness joy.
EMOTIONS = PRESETS["ekman7"]
WORDS = ("neutral", "joy", "surprise", "sadness", "anger", "disgust", "fear")
#: Width, height and frames a second of a film; the side of the face in it; seconds before and after what is said.
SIZE, RATE, SIDE, PAUSE = (320, 240), 5, 190, 0.4
#: Share of the sentences whose words belong to another emotion, or to none.
_ASTRAY = 0.3
_HEARD = 16_000


@dataclass(frozen=True)
class Part:
    """What a film is made of: the emotion, the picture (PNG), the clip (FLAC) and the sentence."""

    emotion: str
    picture: bytes
    clip: bytes
    sentence: str


def parts(n: int, seed: int) -> list[Part]:
    """``n`` of them, as many of each emotion as can be; pictures in which nobody could tell are left out."""
    rng = np.random.default_rng(seed)
    faces = _by_emotion(draw_faces(3 * n, np.random.default_rng(seed + 1), jobs=2))
    voices = _by_emotion(make_voices(3 * n, np.random.default_rng(seed + 2), jobs=2))
    made = []
    for i in range(n):
        emotion = EMOTIONS[i % len(EMOTIONS)]
        if faces[emotion] and voices[emotion]:
            made.append(Part(emotion, faces[emotion].pop(), voices[emotion].pop(), say(emotion, rng)))
    return made


def _by_emotion(samples: Iterator[Any]) -> dict[str, list[bytes]]:
    found: dict[str, list[bytes]] = {emotion: [] for emotion in EMOTIONS}
    for sample in samples:
        emotion = max(sample.answers, key=lambda name: sample.answers[name])
        if emotion in found:
            found[emotion].append(getattr(sample, "data", None) or sample.png)
    return found


_CUES = {
    "neutral": ("on Tuesday", "at nine", "in the second drawer", "as usual", "by bus"),
    "happiness": ("so glad", "wonderful", "we won", "what a lovely day", "I love it"),
    "surprise": ("I never expected", "suddenly", "out of nowhere", "who would have thought", "really"),
    "sadness": ("I miss her", "all alone", "nothing is left", "I cannot stop crying", "it is over"),
    "anger": ("how dare you", "shut up", "that is unfair", "I hate this", "enough of it"),
    "disgust": ("it stinks", "rotten", "it makes me sick", "filthy", "covered in mould"),
    "fear": ("I am scared", "somebody is behind us", "do not go there", "what if it breaks", "it is getting dark"),
}
_TALK = ("you know", "I mean", "he said", "look", "and then", "well", "at the house", "with the car", "this morning")


def say(emotion: str, rng: np.random.Generator) -> str:
    """A sentence with a cue of ``emotion``, or with one that leads astray."""
    if rng.random() < _ASTRAY:
        emotion = EMOTIONS[int(rng.integers(len(EMOTIONS)))]
    cues = _CUES[emotion]
    words = [_TALK[int(i)] for i in rng.integers(len(_TALK), size=int(rng.integers(2, 5)))]
    words.insert(int(rng.integers(len(words) + 1)), cues[int(rng.integers(len(cues)))])
    return " ".join(words)


def film(path: Path, part: Part) -> tuple[float, float]:
    """Write the film of ``part`` to ``path``, and what is said beside it (.jsonl); from when to when, in seconds."""
    import av
    import soundfile

    clip, rate = soundfile.read(io.BytesIO(part.clip), dtype="float32")
    assert rate == _HEARD
    pause = np.zeros(round(PAUSE * rate), np.float32)
    sound = np.concatenate([pause, clip, pause])
    begin, end = PAUSE, PAUSE + len(clip) / rate
    with av.open(str(path), "w") as container:
        picture = container.add_stream("mpeg4", rate=RATE)
        picture.width, picture.height, picture.pix_fmt, picture.bit_rate = *SIZE, "yuv420p", 2_000_000
        track = container.add_stream("aac", rate=rate)
        track.layout = "mono"
        for number in range(round((end + PAUSE) * RATE)):
            shown = av.VideoFrame.from_ndarray(still(part.picture, number), format="rgb24")
            shown.pts, shown.time_base = number, Fraction(1, RATE)
            container.mux(picture.encode(shown))
        container.mux(picture.encode(None))
        _write_sound(container, track, sound)
    row = {"begin": begin, "end": end, "text": part.sentence}
    path.with_suffix(".jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    return begin, end


def still(picture: bytes, number: int) -> NDArray[np.uint8]:
    """Frame ``number`` of a film: pixels (height, width, 3) with the face, which moves a little."""
    face = Image.open(io.BytesIO(picture)).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    frame = Image.new("RGB", SIZE, (128, 120, 110))
    frame.paste(face, (65 + round(4 * np.sin(number / 3)), 30))
    return np.asarray(frame)


def _write_sound(container: Any, track: Any, sound: NDArray[np.float32]) -> None:
    import av

    for at in range(0, len(sound), 1024):
        block = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(sound[None, at : at + 1024]), format="fltp", layout="mono"
        )
        block.sample_rate, block.pts, block.time_base = _HEARD, at, Fraction(1, _HEARD)
        container.mux(track.encode(block))
    container.mux(track.encode(None))


def labelled(made: Sequence[Part]) -> NDArray[np.int64]:
    """The emotions (n,) of parts, as numbers."""
    return np.array([EMOTIONS.index(part.emotion) for part in made])
