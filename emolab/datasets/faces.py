"""Finding faces: YuNet through OpenCV, with five landmarks per face.

YuNet: Wu, Peng, Yu (2023), "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence Research 20. Where the
weights come from: :mod:`emolab.datasets.weights`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emolab.datasets.media import bgr
from emolab.errors import DataError, MissingExtra

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


class Detector:
    """A face detector for one thread.

    ``size``: the longer side, in pixels, to which an image is reduced first; faces below about 10 pixels there are
    missed. Raises :class:`MissingExtra` without OpenCV, :class:`DataError` for a file that is no YuNet network.
    """

    def __init__(self, weights: Path, *, min_score: float = 0.6, size: int = 640) -> None:
        try:
            import cv2
            import numpy as np
        except ImportError as error:
            raise MissingExtra("OpenCV", "data") from error
        cv2.setNumThreads(1)  # every worker thread has a detector: more threads inside would only compete
        self._size = size
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
        """The faces of ``image``, largest first, in its own pixels."""
        import cv2
        import numpy as np

        pixels: NDArray[np.uint8] = bgr(image)
        height, width = pixels.shape[:2]
        scale = min(1.0, self._size / max(width, height))
        if scale < 1:
            small = (max(1, round(width * scale)), max(1, round(height * scale)))
            pixels = cv2.resize(pixels, small, interpolation=cv2.INTER_AREA).astype("uint8", copy=False)
        sx, sy = width / pixels.shape[1], height / pixels.shape[0]
        below, beside = (max(0, _SMALLEST - side) for side in pixels.shape[:2])
        pixels = cv2.copyMakeBorder(pixels, 0, below, 0, beside, cv2.BORDER_CONSTANT).astype("uint8", copy=False)
        self._net.setInputSize((pixels.shape[1], pixels.shape[0]))
        _, rows = self._net.detect(pixels)
        faces = [_face(row, sx, sy) for row in ([] if rows is None else rows) if np.isfinite(row).all()]
        return sorted(faces, key=lambda face: (-face.box[2] * face.box[3], face.box))


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
