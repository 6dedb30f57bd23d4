"""What a network in training says about the validation samples, and how good that is."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from emolab.inference import probabilities
from emolab.inference.probabilities import softmax
from emolab.progress import SILENT, Progress
from emolab.stats import metrics
from emolab.training.fitting.distributed import Team
from emolab.training.fitting.losses import soft_cross_entropy
from emolab.training.inputs import batches
from emolab.training.inputs.pixel_cache import Pixels
from emolab.training.inputs.training_set import TrainingSet
from emolab.training.networks.classifier import Classifier

BATCH = 256
#: With fewer validation samples their loss is noise: the last epoch, at the end of the schedule, is the safer choice.
FEWEST_JUDGES = 50
#: Every epoch is judged by at most this many times the samples it learnt from; the finished model by all of them.
MOST_JUDGES = 10


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
    with torch.inference_mode(), progress.task(title, mine.stop - mine.start, unit="samples") as task:
        for first in range(mine.start, mine.stop, BATCH):
            some = slice(first, min(first + BATCH, mine.stop))
            taken = pixels.take(chosen[some])
            images = batches.as_images(probabilities.mirrored(taken) if mirrored else taken, device)
            out[some] = model(images).float().cpu().numpy()
            task.advance(some.stop - some.start)
    return team.join_rows(out)


def judges(data: TrainingSet, *, seed: int) -> NDArray[np.int64]:
    """The validation samples that judge every epoch: all, or :data:`MOST_JUDGES` times as many as are trained on.

    Drawn with ``seed``, the same for every epoch of a run and for one that goes on.
    """
    most = max(FEWEST_JUDGES, MOST_JUDGES * len(data.train))
    if len(data.valid) <= most:
        return data.valid
    return data.valid[np.sort(np.random.default_rng(seed).permutation(len(data.valid))[:most])]


def loss(found: NDArray[np.float32], data: TrainingSet, chosen: NDArray[np.int64]) -> float:
    """Cross-entropy, in nats, between the logits ``found`` (v, k) of the rows ``chosen`` (v,) and the votes."""
    targets, able = (torch.from_numpy(part[chosen]) for part in (data.targets, data.supported))
    return float(soft_cross_entropy(torch.from_numpy(found), targets, able))


def scores(found: NDArray[np.float32], data: TrainingSet, chosen: NDArray[np.int64]) -> dict[str, float]:
    """Accuracy and macro-F1 of the logits ``found`` (v, k) of the rows ``chosen``, among the classes that can occur."""
    shares = softmax(np.where(data.supported[chosen], found, -np.inf))
    seen = metrics.summary(shares, data.hard[chosen], data.classes)
    return {key: seen[key] for key in ("accuracy", "macro_f1")}
