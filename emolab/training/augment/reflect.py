"""Affine warps of small images that go on beyond their border as in a mirror.

OpenCV finds every pixel beyond the border by a slow path of its own, which takes a third of a warp. So an image is
first padded, by copying rows, with as much of its mirror image as its map can reach; the warp then never leaves what it
is given.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

BORDER = cv2.BORDER_REFLECT_101
#: Pixels beyond the outermost one that is asked for: its neighbour in the interpolation, and one for rounding.
SPARE = 2


def warp(images: NDArray[np.uint8], maps: NDArray[np.float64], out: NDArray[np.uint8]) -> None:
    """Fill ``out`` with ``images`` (b, h, w, c) moved by ``maps`` (b, 2, 3), from a place there to one in ``out``.

    The same as ``cv2.warpAffine`` with ``BORDER_REFLECT_101``: its arithmetic is of fixed point, and padding by whole
    pixels moves it by whole units.
    """
    height, width = images.shape[1:3]
    back = inverse(maps)
    pads = margins(back, (height, width))
    back[:, :, 2] += pads[:, ::2]
    right, foot = (pads[:, :2].sum(axis=1) + width).tolist(), (pads[:, 2:].sum(axis=1) + height).tolist()
    canvas = np.empty((max(foot, default=0), max(right, default=0), images.shape[3]), np.uint8)
    for i, (before, after, above, below) in enumerate(pads.tolist()):
        padded = canvas[: foot[i], : right[i]]
        cv2.copyMakeBorder(images[i], above, below, before, after, BORDER, dst=padded)
        cv2.warpAffine(
            padded,
            back[i],
            (width, height),
            dst=out[i],
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=BORDER,
        )


def inverse(maps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Maps (n, 2, 3) from a result's pixel back to its source; zeros where ``maps`` make a line of the image."""
    (a, b, c), (d, e, f) = maps.transpose(1, 2, 0)
    area = a * e - b * d
    with np.errstate(divide="ignore"):
        scale = np.where(area == 0, 0.0, 1 / area)
    back = np.empty_like(maps)
    back[:, 0, 0], back[:, 0, 1], back[:, 1, 0], back[:, 1, 1] = e * scale, -b * scale, -d * scale, a * scale
    back[:, 0, 2] = -back[:, 0, 0] * c - back[:, 0, 1] * f
    back[:, 1, 2] = -back[:, 1, 0] * c - back[:, 1, 1] * f
    return back


def margins(back: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.int64]:
    """Pixels (n, 4) that the maps ``back`` ask for left of, right of, above and below an image of ``shape`` (h, w).

    Zeros for a map that reaches further than one mirror image, which OpenCV then has to reflect itself.
    """
    height, width = shape
    corners = np.array([[x, y, 1.0] for x in (0, width - 1) for y in (0, height - 1)])
    reached = back @ corners.T  # (n, 2, 4): an affine map is nowhere further out than at a corner
    low, high = reached.min(axis=2), reached.max(axis=2)
    beyond = np.stack([-low[:, 0], high[:, 0] - (width - 1), -low[:, 1], high[:, 1] - (height - 1)], axis=1)
    pads: NDArray[np.int64] = np.maximum(np.ceil(beyond) + SPARE, 0).astype(np.int64)
    pads[(pads > np.array([width, width, height, height]) - 1).any(axis=1)] = 0
    return pads
