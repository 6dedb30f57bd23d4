"""What a finished training hands on, however it was done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A finished run: ``weights`` of the best epoch by name, ``logits`` (v, k) on the validation samples by them.

    ``mirrored`` (v, k) are the logits of their mirror images; ``None`` where none were computed.
    ``solved`` says how a head was solved that was not trained by steps; ``history`` then lists the penalties tried.
    """

    weights: dict[str, Tensor]
    logits: NDArray[np.float32]
    history: list[dict[str, Any]]
    best_epoch: int
    seconds: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    mismatches: tuple[str, ...]
    precision: str
    parameters: int
    layout: str = "channels_last"
    solved: Mapping[str, float] | None = None
    mirrored: NDArray[np.float32] | None = None
