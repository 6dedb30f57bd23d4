"""Soft cross-entropy over the classes a source can show."""

from __future__ import annotations

import torch
from torch import Tensor


def masked_log_softmax(logits: Tensor, supported: Tensor) -> Tensor:
    """Log-probabilities (n, k) over the supported classes only; exactly 0 where a class is not supported.

    ``logits`` is (n, k), ``supported`` (n, k) bool with at least one class per row. A class its source never
    annotates takes no part in the normalisation: it is unknown there, not negative.
    """
    hidden = logits.float().masked_fill(~supported, float("-inf"))
    return torch.log_softmax(hidden, dim=1).masked_fill(~supported, 0.0)


def soft_cross_entropy(logits: Tensor, targets: Tensor, supported: Tensor) -> Tensor:
    """Mean cross-entropy, in nats, between vote distributions and predictions.

    ``targets`` (n, k) rows sum to 1 over the supported classes.
    """
    return -(targets * masked_log_softmax(logits, supported)).sum(dim=1).mean()
