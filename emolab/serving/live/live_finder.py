"""Faces in a live frame: one look at a small size, by ONNX Runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from emolab.errors import MissingExtra
from emolab.inference.detectors.yunet_network import YunetNetwork
from emolab.modalities.image.faces import Face, faces_of

if TYPE_CHECKING:
    from pathlib import Path


class LiveFinder:
    """What :class:`emolab.modalities.image.faces.Detector` finds with ``again=0``, in half of its time."""

    def __init__(self, weights: Path, *, min_score: float = 0.6, size: int = 320) -> None:
        try:
            import cv2
        except ImportError as error:
            raise MissingExtra("OpenCV", "serve") from error
        cv2.setNumThreads(1)  # a frame is small: more threads would only compete
        self._network = YunetNetwork(weights)
        self._min_score, self._size = min_score, size

    def find_pixels(self, pixels: NDArray[np.uint8]) -> list[Face]:
        """The faces of pixels (height, width, 3), blue first; largest first, in pixels of what was given."""
        import cv2

        height, width = pixels.shape[:2]
        scale = min(1.0, self._size / max(width, height))
        if scale < 1:
            size = (max(1, round(width * scale)), max(1, round(height * scale)))
            pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
        rows = self._network(pixels, self._min_score)
        return faces_of(rows, (width / pixels.shape[1], height / pixels.shape[0]))
