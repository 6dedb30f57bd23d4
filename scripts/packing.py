"""What the scripts share that put a model into the package."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def halved(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """``weights`` in half precision, without the counters that only trainings need."""
    return {
        name: tensor.half() if tensor.dtype == torch.float32 else tensor
        for name, tensor in weights.items()
        if not name.endswith("num_batches_tracked")
    }
