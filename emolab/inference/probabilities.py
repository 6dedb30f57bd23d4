"""From the scores of a network to probabilities, in training and at work."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def softmax(logits: NDArray[np.floating[Any]], temperature: float = 1.0) -> NDArray[np.float32]:
    """Rows of ``logits`` (n, k) divided by ``temperature``, as probabilities that sum to 1."""
    scaled = logits.astype(np.float64) / temperature
    scaled -= scaled.max(axis=1, keepdims=True)
    raised = np.exp(scaled)
    shares: NDArray[np.float32] = (raised / raised.sum(axis=1, keepdims=True)).astype(np.float32)
    return shares


def together(alone: NDArray[np.float32], mirrored: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean (n, k) of the logits of images ``alone`` and of their ``mirrored`` ones."""
    return (alone + mirrored) / np.float32(2)


def mirrored(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A copy of (b, h, w, c) images, left and right exchanged."""
    return np.ascontiguousarray(pixels[:, :, ::-1])
