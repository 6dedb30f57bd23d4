"""What learns in simulated campaigns: features computed once, or the real trainer again in every round."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from emolab.config import TrainingConfig
from emolab.errors import DataError
from emolab.inference.probabilities import softmax
from emolab.modalities.modality import recognised
from emolab.modalities.preparing import Preprocessing
from emolab.progress import SILENT, Progress
from emolab.training.fitting.devices import cpu_threads, pick_device
from emolab.training.fitting.fit import fit
from emolab.training.inputs import batches, feature_cache
from emolab.training.inputs.pixel_cache import Pixels
from emolab.training.inputs.training_set import training_set
from emolab.training.networks import backbones
from emolab.training.networks.backbones import Backbone
from emolab.training.networks.classifier import Classifier
from emolab.training.runs.recipes import Plan, plan

Floats = NDArray[np.floating[Any]]
#: Images that are looked at together.
BATCH = 256


def preprocessing(media: Sequence[bytes | Path], config: TrainingConfig) -> Preprocessing:
    """How ``media`` are decoded for the backbone of ``config``."""
    made = plan(config, n_train=len(media), color=recognised(media).color(media))
    return Preprocessing(made.size, made.color)


def features(
    folder: Path,
    ids: Sequence[str],
    images: Pixels,
    config: TrainingConfig,
    *,
    color: str,
    progress: Progress = SILENT,
) -> NDArray[np.float32]:
    """Penultimate features (n, d) by the backbone and weights of ``config`` as they are; kept below ``folder``.

    ``images`` are decoded in ``color`` and stand in the order of the sha256 ``ids``. Raises :class:`DataError` for a
    backbone whose weights would be random.
    """
    made = plan(config, n_train=len(ids), color=color)
    built = backbones.build(made.backbone, made.weights, size=made.size)
    if backbones.is_random(made.backbone, made.weights, built.module):
        raise DataError(
            f"Frozen features would come from the random weights of {made.backbone}.",
            hint="Name trained ones: --set training.weights=PATH; or let everything learn: --mode finetune",
        )
    with cpu_threads(made.threads):
        network = Classifier(built, 2, dropout=0.0)
        network = network.to(pick_device(made.device), memory_format=torch.channels_last)  # type: ignore[call-overload]
        found = feature_cache.fill(
            folder, ids, images, network, name=made.backbone, wanted=Preprocessing(made.size, color), progress=progress
        )
        return found.take(np.arange(len(ids), dtype=np.int64))


@dataclass(frozen=True)
class FineTuned:
    """The real trainer for one seed of a simulation: all of a network learns again from the labels of every round.

    ``images`` are those of the n samples that may be asked about, ``judge`` of those that judge. Nothing is held
    out, so the last epoch is kept and confidence is not calibrated.
    """

    images: Pixels
    judge: Pixels
    classes: tuple[str, ...]
    config: TrainingConfig
    color: str

    def __call__(self, rows: NDArray[np.int64], targets: Floats) -> tuple[Floats, Floats, Floats]:
        """Probabilities (n, k) and features (n, d) of the samples, probabilities (m, k) of the judge.

        Learns from the samples ``rows`` with distributions ``targets``.
        """
        made = plan(self.config, n_train=len(rows), color=self.color)
        data = training_set(
            classes=self.classes,
            ids=[f"{row:064x}" for row in rows.tolist()],
            probs=targets,
            splits=["train"] * len(rows),
        )
        mine = self.images.only(rows)
        with tempfile.TemporaryDirectory() as folder:
            fitted = fit(mine, data, made, Path(folder))
        with cpu_threads(made.threads):
            network = self._network(made, (fitted.mean, fitted.std))
            network.load_state_dict(fitted.weights)
            probs, found = look(network, self.images)
            return probs, found, look(network, self.judge)[0]

    def _network(self, made: Plan, normalisation: tuple[tuple[float, ...], tuple[float, ...]]) -> Classifier:
        built = backbones.build(made.backbone, "none", size=made.size)
        blank = Backbone(built.module, built.width, *normalisation, ())
        network = Classifier(blank, len(self.classes), dropout=0.0).eval()
        return network.to(pick_device(made.device), memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def look(network: Classifier, images: Pixels) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Probabilities (n, k) and penultimate features (n, d) of ``images``."""
    logits, found = [], []
    with torch.inference_mode():
        for part in np.array_split(np.arange(len(images), dtype=np.int64), -(-len(images) // BATCH)):
            seen = network.features(batches.as_images(images.take(part), network.mean.device))
            logits.append(network.head(seen).float().cpu().numpy())
            found.append(seen.cpu().numpy())
    return softmax(np.concatenate(logits)), np.concatenate(found)
