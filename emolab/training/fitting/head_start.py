"""What the head knows before the first step: rows of classes it shares with the weights' own model, or a solved head.

With a head that already fits its backbone's features, fine-tuning need not tear the features apart to serve a random
one (Kumar et al. 2022, "Fine-tuning can distort pretrained features and underperform out-of-distribution").
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from emolab.stats import logistic
from emolab.training.inputs import batches
from emolab.training.inputs.pixel_cache import Pixels
from emolab.training.inputs.training_set import TrainingSet
from emolab.training.networks import backbones
from emolab.training.networks.classifier import Classifier
from emolab.training.networks.weights import start_head
from emolab.training.runs.recipes import Plan

BATCH = 256


def known(
    model: Classifier, classes: Sequence[str], plan: Plan
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Give ``model`` the rows its weights' own head has for classes of the same name.

    Weight (k, d) and bias (k,) where all classes are among them, else ``None``.
    """
    file = backbones.weights_file(plan.backbone, plan.weights)
    shared = start_head(model.head, classes, file) if file is not None else ()
    if len(shared) < len(classes):
        return None
    weight, bias = (tensor.detach().cpu().double().numpy().copy() for tensor in (model.head.weight, model.head.bias))
    return weight, bias


def take(model: Classifier, solved: logistic.Solution) -> None:
    """Copy ``solved`` into the head of ``model``."""
    with torch.no_grad():
        model.head.weight.copy_(torch.from_numpy(solved.weight))
        model.head.bias.copy_(torch.from_numpy(solved.bias))


def begin(model: Classifier, pixels: Pixels, data: TrainingSet, plan: Plan) -> None:
    """First weights of the head of ``model`` (on the CPU) for a run by ``plan``: known rows, then the solved head.

    Solving takes one pass over the training images of ``data``, whose ``pixels`` stand in the same order, without
    augmentation. Raises :class:`DataError` for features that are not finite numbers.
    """
    rows = known(model, data.classes, plan)
    if not plan.solve_head:
        return
    model.eval()
    place = torch.device("cpu")
    with torch.inference_mode():
        parts = [
            model.features(batches.as_images(pixels.take(data.train[start : start + BATCH]), place)).numpy()
            for start in range(0, len(data.train), BATCH)
        ]
    solved, _ = logistic.solve(
        np.concatenate(parts),
        data.targets[data.train],
        supported=data.supported[data.train],
        seed=plan.seed,
        known=rows,
    )
    take(model, solved)
