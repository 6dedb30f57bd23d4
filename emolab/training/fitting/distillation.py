"""Learning from other models besides the votes: distillation.

A few votes say coarsely what people see in a face; what well-trained models say about it, together, is smoother. A
network that learns from a mixture of both gets closer to the mean of several models than one that learns from votes
alone, at the price of one (Hinton et al. 2015, "Distilling the knowledge in a neural network").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emolab.config import TrainingConfig
from emolab.errors import ConfigError
from emolab.inference.probabilities import softmax
from emolab.modalities.preparing import require_alone
from emolab.progress import SILENT, Progress
from emolab.training import predict
from emolab.training.inputs import pixel_cache
from emolab.training.inputs.pixel_cache import Pixels
from emolab.training.inputs.training_set import TrainingSet

PART = 512


def taught(
    data: TrainingSet,
    teachers: Sequence[Path],
    *,
    share: float,
    media: Callable[[str], Path],
    folder: Path,
    config: TrainingConfig,
    progress: Progress = SILENT,
) -> TrainingSet:
    """``data`` whose targets to train on are votes and, by ``share`` (0..1), what the models in ``teachers`` say.

    Validation samples keep their votes. Raises :class:`ConfigError` for a teacher that lacks one of the classes.
    """
    return mixed(data, opinion(data, teachers, media=media, folder=folder, config=config, progress=progress), share)


def mixed(data: TrainingSet, said: NDArray[np.floating[Any]], share: float) -> TrainingSet:
    """``data`` with targets to train on that are, by ``share``, the distributions ``said`` (t, k) of ``data.train``."""
    targets = data.targets.copy()
    targets[data.train] = (1 - share) * targets[data.train] + share * said
    return replace(data, targets=targets)


def opinion(
    data: TrainingSet,
    teachers: Sequence[Path],
    *,
    media: Callable[[str], Path],
    folder: Path,
    config: TrainingConfig,
    progress: Progress = SILENT,
) -> NDArray[np.float32]:
    """Mean distribution (t, k) of the models in ``teachers`` for ``data.train``, over the supported classes of each.

    Without their temperatures: those fit winners, and targets are distributions. Offsets that an objective gave to the
    classes stay in, so a teacher that leans towards rare classes makes its pupil lean. ``folder`` is the workspace's
    cache, and ``config`` says where and by which engine to compute. Raises :class:`ConfigError` for a teacher that
    lacks one of the classes.
    """
    ids = [data.ids[i] for i in data.train]
    able = data.supported[data.train]
    total = np.zeros((len(ids), len(data.classes)), dtype=np.float64)
    for place in teachers:
        model = predict.load(place, device=config.device)
        require_alone(model.checkpoint.preprocessing, "training.teacher")
        known = model.checkpoint.classes
        missing = [name for name in data.classes if name not in known]
        if missing:
            raise ConfigError(
                f"The teacher in {place} has never learned {', '.join(missing)}.",
                hint="Choose a teacher with all classes of the project: emolab models list",
            )
        columns = [known.index(name) for name in data.classes]
        images = pixel_cache.fill(folder, ids, media, model.checkpoint.preprocessing, progress=progress)
        model = predict.quickened(
            model, config, n=len(ids), images=partial(_some, images), cache=folder, progress=progress
        )
        with progress.task("Asking the teacher", len(ids), unit="samples") as task:
            for start in range(0, len(ids), PART):
                rows = np.arange(start, min(start + PART, len(ids)), dtype=np.int64)
                logits = model.logits(images.take(rows))[0][:, columns]
                total[rows] += softmax(np.where(able[rows], logits, -np.inf))
                task.advance(len(rows))
    return (total / len(teachers)).astype(np.float32)


def _some(images: Pixels, n: int) -> NDArray[np.uint8]:
    m = min(n, len(images))
    return images.take(np.arange(m, dtype=np.int64) * len(images) // max(1, m))
