"""YuNet's network by ONNX Runtime: on small frames it takes half the time that OpenCV takes for the same answers.

What its outputs mean follows OpenCV's ``FaceDetectorYN``: three maps with a cell for every 8, 16 and 32 pixels. A
cell's score is the root of the product of its two confidences, its box and landmarks are relative to its place.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emolab.errors import DataError
from emolab.inference.runtime import onnxruntime

#: Pixels of a cell, of each map; sides of the input are multiples of the last one.
STRIDES = (8, 16, 32)


class YunetNetwork:
    """The detector's network in ``weights``, on one core.

    Raises :class:`MissingExtra` without ONNX Runtime, :class:`DataError` for a file that is no YuNet network.
    """

    def __init__(self, weights: Path) -> None:
        runtime = onnxruntime()
        options = runtime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._outputs = [f"{kind}_{stride}" for stride in STRIDES for kind in ("cls", "obj", "bbox", "kps")]
        try:
            self._session = runtime.InferenceSession(str(weights), options, providers=["CPUExecutionProvider"])
            known = {output.name for output in self._session.get_outputs()}
        except Exception as error:  # ONNX Runtime's exceptions have no common public class
            raise _foreign(weights) from error
        if not known.issuperset(self._outputs):
            raise _foreign(weights)
        self._input = self._session.get_inputs()[0].name

    def __call__(self, pixels: NDArray[np.uint8], min_score: float) -> NDArray[np.float32]:
        """Rows (n, 15) for cells of at least ``min_score``: x, y, width, height, five points (x, y), score.

        ``pixels`` (height, width, 3) are blue first.
        """
        height, width = pixels.shape[:2]
        last = STRIDES[-1]
        rows, columns = -(-height // last) * last, -(-width // last) * last
        given = np.zeros((1, 3, rows, columns), np.float32)
        given[0, :, :height, :width] = pixels.transpose(2, 0, 1)
        found = self._session.run(self._outputs, {self._input: given})
        maps = ([out[0] for out in found[4 * i : 4 * i + 4]] for i in range(len(STRIDES)))
        cells = [_cells(each, stride, columns // stride, min_score) for each, stride in zip(maps, STRIDES, strict=True)]
        return np.concatenate(cells)


def _foreign(weights: Path) -> DataError:
    return DataError(
        f"{weights} is not a YuNet face detector that ONNX Runtime can read.",
        hint='Set collect.detector to a YuNet ONNX file, or to "" for the one that comes with emolab.',
    )


def _cells(outputs: list[NDArray[np.float32]], stride: int, columns: int, min_score: float) -> NDArray[np.float32]:
    """Rows (n, 15) of one map, in the order of its cells; ``outputs``: two confidences, box and points of each."""
    classes, objects, boxes, points = outputs
    scores = np.sqrt(classes[:, 0].clip(0, 1) * objects[:, 0].clip(0, 1))
    places = np.flatnonzero(scores >= min_score)
    if not places.size:
        return np.empty((0, 15), np.float32)
    at = np.stack([places % columns, places // columns], axis=1).astype(np.float32)
    box, point = boxes[places], points[places].reshape(-1, 5, 2)
    size = np.exp(box[:, 2:]) * stride
    corner = (at + box[:, :2]) * stride - size / 2
    marks = (point + at[:, None]) * stride
    rows = np.concatenate([corner, size, marks.reshape(-1, 10), scores[places, None]], axis=1)
    finite: NDArray[np.float32] = rows[np.isfinite(rows).all(axis=1)].astype(np.float32)
    return finite
