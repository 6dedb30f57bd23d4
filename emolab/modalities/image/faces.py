"""Finding faces: YuNet through OpenCV, with five landmarks per face.

YuNet: Wu, Peng, Yu (2023), "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence Research 20. Where the
weights come from: :mod:`emolab.modalities.image.detector_weights`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emolab.errors import DataError, MissingExtra
from emolab.modalities.image.media import bgr

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

#: Boxes that overlap more than this share of their union are one face.
_OVERLAP = 0.3

#: How many candidates are compared with one another; a crowd has fewer faces than this.
_CANDIDATES = 2000

#: Shorter images are padded: on a few rows of pixels the network answers with infinite boxes.
_SMALLEST = 64

#: Pixels of a face's longer side from which nearly all are found (48-pixel faces of FER+ in an empty photo: 85 %).
SURE = 48
#: The lowest score of a face in a later look. 28 of 30 FER+ faces of 60 pixels have it.
STRICT = 0.75
#: Up to how many pixels an image is looked at again.
AGAIN = 12_000_000
#: Every look has at most this many times the scale of the one before.
_STEP = 2.5
#: The longest side of a tile, which bounds the memory, and how far tiles overlap: more than any face that the look
#: before has missed.
TILE, OVERLAP = 1600, 160
#: A box this near to the inner border of a tile is probably a part of a face.
_EDGE = 3

#: Input dimensions that the published file leaves open, and what to fix them to (see :func:`pin_input`).
_OPEN = ((b"batch", 1), (b"height", 640), (b"width", 640))


@dataclass(frozen=True, slots=True)
class Face:
    """One face: ``box`` = (x, y, width, height) and five ``landmarks`` (x, y), in pixels of the upright image.

    Landmarks: right eye, left eye, tip of the nose, right and left corner of the mouth (the person's own right and
    left). ``score`` in 0..1.
    """

    box: tuple[float, float, float, float]
    landmarks: tuple[tuple[float, float], ...]
    score: float

    def crop(self, size: tuple[int, int], *, margin: float) -> tuple[int, int, int, int]:
        """A square around the face as (left, top, right, bottom), within an image of ``size`` (width, height).

        Its side is the longer side of the box plus ``margin`` of it on both sides; a square that would stick out is
        moved inside, and cut only where the image is smaller than the square.
        """
        x, y, w, h = self.box
        side = max(w, h) * (1 + 2 * margin)
        spans = []
        for centre, limit in ((x + w / 2, size[0]), (y + h / 2, size[1])):
            length = min(round(side), limit)
            start = min(max(round(centre - side / 2), 0), limit - length)
            spans.append((start, start + length))
        (left, right), (top, bottom) = spans
        return left, top, right, bottom


def searched(size: tuple[int, int], *, mode: str, tight: int) -> bool:
    """Whether faces are looked for in a picture of ``size`` (width, height in pixels).

    ``mode``: ``off`` never, ``all`` and ``largest`` always, ``auto`` where the shorter side has more than ``tight``
    pixels: what is smaller is a face crop already.
    """
    return mode != "off" and (mode != "auto" or min(size) > tight)


def chosen(faces: Sequence[Face], *, mode: str, min_face: int) -> tuple[list[Face], str | None]:
    """Those of ``faces``, largest first, that are cut out, and a note on those too small for it.

    ``mode`` ``largest`` takes one; of all others each with a shorter side of at least ``min_face`` pixels.
    """
    found = [face for face in faces if min(face.box[2:]) >= min_face]
    small = len(faces) - len(found)
    note = f"{small} smaller than {min_face} px left out (collect.min_face)" if small else None
    return found[:1] if mode == "largest" else found, note


class Detector:
    """A face detector for one thread.

    ``size``: the longer side, in pixels, to which an image is reduced first. ``again``: up to how many pixels it is
    searched again when no face is large there; 0 for never. Raises :class:`MissingExtra` without OpenCV,
    :class:`DataError` for a file that is no YuNet network.
    """

    def __init__(self, weights: Path, *, min_score: float = 0.6, size: int = 640, again: int = AGAIN) -> None:
        try:
            import cv2
            import numpy as np
        except ImportError as error:
            raise MissingExtra("OpenCV", "data") from error
        cv2.setNumThreads(1)  # every worker thread has a detector: more threads inside would only compete
        self._size, self._again = size, again
        network = np.frombuffer(pin_input(weights.read_bytes()), dtype=np.uint8)
        nothing = np.empty(0, dtype=np.uint8)
        try:
            self._net: Any = cv2.FaceDetectorYN.create(
                "onnx", network, nothing, (size, size), min_score, _OVERLAP, _CANDIDATES
            )
        except cv2.error as error:
            raise DataError(
                f"{weights} is not a YuNet face detector that OpenCV {cv2.__version__} can read.",
                hint='Set collect.detector to a YuNet ONNX file, or to "" for the one that comes with emolab.',
            ) from error

    def find(self, image: Image.Image) -> list[Face]:
        """The faces of ``image``, largest first, in its own pixels.

        1. Look at all of it with the longer side reduced to ``size``.
        2. While no face was found that is at least ``SURE`` pixels there, look again at 2.5 times the scale, in tiles
           that overlap, up to full size or to ``again`` pixels.
        3. Believe a later look only in faces with a score of ``STRICT`` or more that were small in the look before:
           enlarged textures look like faces now and then.
        4. Of boxes that overlap, the one with the best score stays.
        """
        return self.find_pixels(bgr(image))

    def find_pixels(self, pixels: NDArray[np.uint8]) -> list[Face]:
        """The same for pixels (height, width, 3) in the order blue, green, red."""
        height, width = pixels.shape[:2]
        found: list[Face] = []
        before: float | None = None
        for scale in _scales(width, height, self._size, self._again):
            new = list(self._look(pixels, scale))
            if before is not None:
                new = [face for face in new if face.score >= STRICT and max(face.box[2:]) * before < 1.5 * SURE]
            found, before = _without_doubles([*found, *new]), scale
            if any(max(face.box[2:]) * scale >= SURE for face in found):
                break
        return sorted(found, key=lambda face: (-face.box[2] * face.box[3], face.box))

    def _look(self, pixels: NDArray[np.uint8], scale: float) -> Iterator[Face]:
        """The faces of ``pixels`` (height, width, 3) reduced by ``scale``, in pixels of the original."""
        import cv2

        height, width = pixels.shape[:2]
        if scale < 1:
            small = (max(1, round(width * scale)), max(1, round(height * scale)))
            pixels = cv2.resize(pixels, small, interpolation=cv2.INTER_AREA).astype("uint8", copy=False)
        rows, columns = pixels.shape[:2]
        sx, sy = width / columns, height / rows
        for top, bottom in _spans(rows):
            for left, right in _spans(columns):
                for row in self._detect(pixels[top:bottom, left:right]):
                    x, y, w, h = row[:4]
                    cut = (left > 0 and x < _EDGE) or (right < columns and x + w > right - left - _EDGE)
                    cut |= (top > 0 and y < _EDGE) or (bottom < rows and y + h > bottom - top - _EDGE)
                    if not cut or max(w, h) > OVERLAP:  # of what is cut here, the next tile has all
                        row[[0, 4, 6, 8, 10, 12]] += left
                        row[[1, 5, 7, 9, 11, 13]] += top
                        yield _face(row, sx, sy)

    def _detect(self, pixels: NDArray[np.uint8]) -> Iterator[NDArray[np.float32]]:
        """A row per face: x, y, width, height, five points (x, y), score."""
        import cv2
        import numpy as np

        below, beside = (max(0, _SMALLEST - side) for side in pixels.shape[:2])
        pixels = cv2.copyMakeBorder(pixels, 0, below, 0, beside, cv2.BORDER_CONSTANT).astype("uint8", copy=False)
        self._net.setInputSize((pixels.shape[1], pixels.shape[0]))
        _, rows = self._net.detect(pixels)
        yield from (row for row in ([] if rows is None else rows) if np.isfinite(row).all())


def faces_of(rows: NDArray[np.float32], scale: tuple[float, float]) -> list[Face]:
    """The faces of candidate ``rows`` (n, 15), largest first; of those that overlap, the one with the best score.

    A row is x, y, width, height, five points (x, y), score; ``scale`` (across, down) takes it to pixels of the image.
    """
    best = rows[(-rows[:, 14]).argsort(kind="stable")][:_CANDIDATES]
    found = _without_doubles([_face(row, *scale) for row in best])
    return sorted(found, key=lambda face: (-face.box[2] * face.box[3], face.box))


def _scales(width: int, height: int, size: int, again: int) -> Iterator[float]:
    """At which scales an image is looked at, the smallest first: each at most 2.5 times the one before."""
    scale = min(1.0, size / max(width, height))
    yield scale
    last = min(1.0, (again / (width * height)) ** 0.5)
    while scale < last:
        scale = last if scale * _STEP > 0.6 * last else scale * _STEP
        yield scale


def _spans(length: int) -> Iterator[tuple[int, int]]:
    """Tiles of equal size along a side of ``length`` pixels: where each begins and ends.

    >>> list(_spans(1600)), list(_spans(2000))
    ([(0, 1600)], [(0, 1080), (920, 2000)])
    """
    n = 1 if length <= TILE else math.ceil((length - OVERLAP) / (TILE - OVERLAP))
    step = (length - OVERLAP) / n
    for i in range(n):
        yield round(i * step), length if i == n - 1 else round((i + 1) * step) + OVERLAP


def _without_doubles(faces: list[Face]) -> list[Face]:
    """``faces``, of which each is the best of those that overlap it."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: -face.score):
        if all(_shared(face.box, other.box) <= _OVERLAP for other in kept):
            kept.append(face)
    return kept


def _shared(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> float:
    """The area that boxes (x, y, width, height) share, as a share of what they cover together."""
    w = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    h = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    both = max(w, 0.0) * max(h, 0.0)
    return both / (a[2] * a[3] + b[2] * b[3] - both) if both else 0.0


def _face(row: NDArray[np.float32], sx: float, sy: float) -> Face:
    x, y, w, h = (round(float(v) * s, 1) for v, s in zip(row[:4], (sx, sy, sx, sy), strict=True))
    points = tuple((round(float(row[i]) * sx, 1), round(float(row[i + 1]) * sy, 1)) for i in range(4, 14, 2))
    return Face((x, y, w, h), points, float(row[14]))


def pin_input(network: bytes) -> bytes:
    """``network`` with the open dimensions of its input fixed; a file without open dimensions comes back unchanged.

    OpenCV 4 refuses an ONNX file whose input size is left open, though YuNet works at any size once it is loaded. The
    three symbolic names in the header are replaced, at the same length, by numbers (protobuf allows a number to be
    padded), so nothing else moves.
    """
    for name, value in _OPEN:
        symbol = b"\x12" + bytes([len(name)]) + name  # TensorShapeProto.Dimension.dim_param
        number = b"\x08" + _padded(value, len(symbol) - 1)  # TensorShapeProto.Dimension.dim_value
        network = network.replace(symbol, number)
    return network


def _padded(value: int, length: int) -> bytes:
    """``value`` as a protobuf varint of exactly ``length`` bytes."""
    low = [0x80 | (value >> (7 * i) & 0x7F) for i in range(length - 1)]
    return bytes([*low, value >> (7 * (length - 1)) & 0x7F])
