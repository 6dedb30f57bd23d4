"""Videos for tests: drawn faces that move, and models that answer without a network."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from pathlib import Path
from threading import Lock

import numpy as np
from PIL import Image

from emolab.demonstration.drawn_faces import draw_faces
from emolab.modalities.image.faces import Face
from emolab.modalities.preparing import Preprocessing

CLASSES = ("happiness", "sadness", "neutral")
#: Where faces are at a time: (person, left, top, side) in pixels.
Places = Callable[[float], Sequence[tuple[int, float, float, int]]]


@cache
def portraits() -> tuple[Image.Image, ...]:
    """Drawn people that YuNet finds easily, each in front of a wall of the frame's own colour."""
    found = [
        Image.open(io.BytesIO(face.png)).convert("RGB")
        for face in draw_faces(12, np.random.default_rng(3))
        if face.person and max(face.answers, key=lambda name: face.answers[name]) == "happiness"
    ]
    return tuple(found)


def frame(places: Sequence[tuple[int, float, float, int]], size: tuple[int, int] = (640, 480)) -> np.ndarray:
    """One picture (height, width, 3) with people at ``places``, the first one behind all others."""
    picture = Image.new("RGB", size, (128, 120, 110))
    for person, left, top, side in places:
        face = portraits()[person].resize((side, side), Image.Resampling.BILINEAR)
        mask = Image.new("L", (side, side), 0)
        mask.paste(255, (side // 8, 0, side - side // 8, side))
        picture.paste(face, (round(left), round(top)), mask)
    return np.array(picture)


def one(seconds: float) -> list[tuple[int, float, float, int]]:
    """Somebody who moves slowly to the right."""
    return [(0, 150 + 40 * seconds, 120, 220)]


def nobody(seconds: float) -> list[tuple[int, float, float, int]]:
    """An empty room."""
    del seconds
    return []


def write(
    path: Path,
    places: Places,
    *,
    seconds: float = 2.0,
    rate: int = 15,
    times: Sequence[float] | None = None,
    codec: str = "mpeg4",
    size: tuple[int, int] = (640, 480),
    draw: Callable[[float], np.ndarray] | None = None,
) -> Path:
    """A video of ``places``, with a frame at each of ``times``, or ``rate`` a second."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.bit_rate = 4_000_000
        stream.codec_context.gop_size = 5  # damage ends at the next key frame
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for number, at in enumerate(times or [i / rate for i in range(round(seconds * rate))]):
            pixels = draw(at) if draw else frame(places(at), size)
            picture = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            if times is not None:
                picture.pts, picture.time_base = round(at * 1000), Fraction(1, 1000)
            else:
                picture.pts, picture.time_base = number, Fraction(1, rate)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


@dataclass
class FakeModel:
    """Answers by the mean gray of what it is shown; ``wait`` is called before each answer, ``asked`` counts them."""

    id: str = "f" * 64
    classes: tuple[str, ...] = CLASSES
    preprocessing: Preprocessing = field(default_factory=lambda: Preprocessing(48, "gray"))
    wait: Callable[[], object] = lambda: None
    asked: int = 0
    lock: Lock = field(default_factory=Lock)

    def probabilities(self, pixels: np.ndarray) -> np.ndarray:
        """Rows (n, 3) that sum to 1."""
        with self.lock:
            self.asked += len(pixels)
        self.wait()
        light = pixels.reshape(len(pixels), -1).mean(axis=1) / 255
        return np.stack([light, (1 - light) / 2, (1 - light) / 2], axis=1).astype(np.float32)


class FakeFinder:
    """Finds the boxes that it was told, look by look; the last ones again when there are no more."""

    def __init__(self, looks: Iterator[Sequence[tuple[float, float, float, float]]]) -> None:
        self._looks = looks
        self._last: list[Face] = []
        self.asked = 0

    def find_pixels(self, pixels: np.ndarray) -> list[Face]:
        """The faces of the next look."""
        del pixels
        self.asked += 1
        boxes = next(self._looks, None)
        if boxes is not None:
            self._last = [Face(box, (), 0.9) for box in boxes]
        return self._last
