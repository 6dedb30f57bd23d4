"""Films in which somebody speaks, and models of their channels without networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emolab.loop.model.film.film_models import FilmModels
from tests.support import films
from tests.support.hearing import FakeVoiceModel

RATE = 16_000


def write(
    path: Path,
    places: films.Places,
    sound: NDArray[np.float32] | None,
    *,
    seconds: float,
    rate: int = 5,
    late: float = 0,
) -> Path:
    """A film of ``places`` with ``sound`` (n,) at 16 kHz that begins ``late`` seconds after the picture."""
    import av

    with av.open(str(path), "w") as container:
        picture = container.add_stream("mpeg4", rate=rate)
        picture.width, picture.height, picture.pix_fmt = 640, 480, "yuv420p"
        picture.bit_rate = 3_000_000
        track = (
            container.add_stream("flac" if path.suffix == ".mkv" else "aac", rate=RATE) if sound is not None else None
        )
        if track is not None:
            track.layout = "mono"
        for number in range(round(seconds * rate)):
            frame = av.VideoFrame.from_ndarray(films.frame(places(number / rate)), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, rate)
            container.mux(picture.encode(frame))
        container.mux(picture.encode(None))
        if track is None or sound is None:
            return path
        kind, size = ("s16", 4096) if path.suffix == ".mkv" else ("fltp", 1024)
        values = np.rint(sound * 32767).astype(np.int16) if kind == "s16" else sound
        for at in range(0, len(values), size):
            block = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(values[None, at : at + size]), format=kind, layout="mono"
            )
            block.sample_rate, block.pts, block.time_base = RATE, round(late * RATE) + at, Fraction(1, RATE)
            container.mux(track.encode(block))
        container.mux(track.encode(None))
    return path


@dataclass(frozen=True)
class FakeWords:
    """Says ``classes`` by the words of a sentence that are called like them; all else is unreadable."""

    classes: tuple[str, ...] = ("joy", "sadness")
    id: str = "d" * 64
    modality: str = "text"

    def answers(self, media: Sequence[bytes | Path]) -> tuple[NDArray[np.float32], dict[int, str]]:
        """Probabilities (n, k) by themselves, and errors by position."""
        texts = [item.decode() if isinstance(item, bytes) else item.read_text() for item in media]
        rows = [[0.9 if name in text else 0.1 for name in self.classes] for text in texts]
        return np.array(rows, np.float32), {i: "empty" for i, text in enumerate(texts) if not text}

    def caption(self, media: bytes) -> str:
        """The sentence."""
        return media.decode()

    def labels(self, probs: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
        """Those above a half."""
        return probs > 0.5

    def save(self, folder: Path) -> str:
        """Nothing to keep."""
        raise NotImplementedError


def channels(weights: Mapping[str, float] | None = None, **changes: Any) -> FilmModels:
    """Models of all three channels; ``changes`` of them by name."""
    made = {"face": films.FakeModel(), "voice": FakeVoiceModel(classes=("happy", "sad")), "words": FakeWords()}
    return FilmModels(**{**made, "weights": weights or {}, **changes})
