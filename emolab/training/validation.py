"""What a network in training says about the validation samples, and how good that is."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from emolab import metrics
from emolab.progress import SILENT, Progress
from emolab.training import batches
from emolab.training.cache import Pixels
from emolab.training.calibrate import softmax
from emolab.training.classifier import Classifier
from emolab.training.data import TrainingSet
from emolab.training.losses import soft_cross_entropy
from emolab.training.team import Team

BATCH = 256
#: With fewer validation samples their loss is noise: the last epoch, at the end of the schedule, is the safer choice.
FEWEST_JUDGES = 50


def logits(
    model: Classifier,
    pixels: Pixels,
    chosen: NDArray[np.int64],
    *,
    device: torch.device,
    team: Team,
    mirrored: bool = False,
    progress: Progress = SILENT,
    title: str = "Judging",
) -> NDArray[np.float32]:
    """Logits (m, k) of the images at ``chosen`` in ``pixels`` or of their mirror images, in full precision.

    Unaugmented; every process of ``team`` looks at its part, and all of them get all rows. ``model`` is left in
    evaluation mode. ``progress`` counts the images of this process under ``title``.
    """
    model.eval()
    out = np.zeros((len(chosen), model.head.out_features), dtype=np.float32)
    mine = team.part(len(chosen))
    with torch.inference_mode(), progress.task(title, mine.stop - mine.start, unit="images") as task:
        for first in range(mine.start, mine.stop, BATCH):
            some = slice(first, min(first + BATCH, mine.stop))
            taken = pixels.take(chosen[some])
            images = batches.as_images(batches.mirrored(taken) if mirrored else taken, device)
            out[some] = model(images).float().cpu().numpy()
            task.advance(some.stop - some.start)
    return team.join_rows(out)


def loss(found: NDArray[np.float32], data: TrainingSet) -> float:
    """Cross-entropy, in nats, between the logits ``found`` (v, k) of ``data.valid`` and the votes."""
    targets, able = (torch.from_numpy(part[data.valid]) for part in (data.targets, data.supported))
    return float(soft_cross_entropy(torch.from_numpy(found), targets, able))


def scores(found: NDArray[np.float32], data: TrainingSet) -> dict[str, float]:
    """Accuracy and macro-F1 of the logits ``found`` (v, k) of ``data.valid``, among the classes that can occur."""
    shares = softmax(np.where(data.supported[data.valid], found, -np.inf))
    seen = metrics.summary(shares, data.hard[data.valid], data.classes)
    return {key: seen[key] for key in ("accuracy", "macro_f1")}
