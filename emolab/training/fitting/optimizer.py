"""How weights move: a rate for every depth, decay where it belongs, and their EMA."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from emolab.training.fitting.schedule import depth_groups, discriminative
from emolab.training.networks.classifier import Classifier
from emolab.training.runs.recipes import Plan

DEPTH_GROUPS = 3
#: Largest norm of the gradient of all weights together.
CLIP = 5.0


def make_optimizer(model: Classifier, plan: Plan) -> torch.optim.Optimizer:
    """AdamW or SGD with a rate for each depth of the backbone and for the head; no decay on biases and norms."""
    body = depth_groups(list(model.backbone.parameters()), DEPTH_GROUPS)
    factors = [factor * plan.depth_decay for factor in discriminative(len(body), plan.depth_decay)]
    groups: list[dict[str, Any]] = []
    for parameters, factor in [*zip(body, factors, strict=True), (list(model.head.parameters()), 1.0)]:
        groups += decay_groups(parameters, lr=plan.lr * factor, weight_decay=plan.weight_decay)
    if plan.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=plan.lr, momentum=0.9, nesterov=True)
    return torch.optim.AdamW(groups, lr=plan.lr)


def decay_groups(parameters: Sequence[nn.Parameter], *, lr: float, weight_decay: float) -> list[dict[str, Any]]:
    """``parameters`` as groups of an optimizer: matrices and kernels decay, biases and norms do not."""
    groups: list[dict[str, Any]] = []
    for decayed in (True, False):
        chosen = [p for p in parameters if (p.ndim > 1) == decayed]
        if chosen:
            groups.append({"params": chosen, "lr": lr, "weight_decay": weight_decay if decayed else 0.0})
    return groups


def clip(model: nn.Module) -> float:
    """The norm of the gradient of ``model``, which is then scaled down to at most ``CLIP``."""
    return float(nn.utils.clip_grad_norm_(model.parameters(), CLIP))


@torch.no_grad()
def move_mean(mean: nn.Module, model: nn.Module, decay: float) -> None:
    """Move ``mean`` towards ``model``; counters are copied (Polyak & Juditsky 1992; Tarvainen & Valpola 2017)."""
    own, new = list(mean.state_dict().values()), list(model.state_dict().values())
    moving = [i for i, tensor in enumerate(own) if tensor.dtype.is_floating_point]
    torch._foreach_lerp_([own[i] for i in moving], [new[i] for i in moving], 1 - decay)
    for i in set(range(len(own))) - set(moving):
        own[i].copy_(new[i])
