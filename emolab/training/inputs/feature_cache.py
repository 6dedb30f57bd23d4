"""Features of a backbone on disk, once per (weights, image): what makes a round without retraining cheap."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save

from emolab.errors import DataError
from emolab.modalities.preparing import Preprocessing
from emolab.progress import SILENT, Progress
from emolab.training.inputs import batches
from emolab.training.inputs import row_store as rows
from emolab.training.inputs.pixel_cache import Pixels
from emolab.training.networks.classifier import Classifier
from emolab.training.runs import state

FILE = "features.f16"


@dataclass(frozen=True)
class Embeddings:
    """Penultimate features: ``array`` (m, d) float16, of which ``rows`` (n,) are meant, in order."""

    array: NDArray[np.float16]
    rows: NDArray[np.int64]

    def take(self, indices: NDArray[np.int64]) -> NDArray[np.float32]:
        """A copy (b, d) of the features at ``indices`` into ``rows``, in single precision."""
        found: NDArray[np.float32] = self.array[self.rows[indices]].astype(np.float32)
        return found


def key(network: Classifier, name: str, wanted: Preprocessing) -> str:
    """Hex sha256 of all that features depend on besides the image: backbone, weights, normalisation, decoding."""
    digest = hashlib.sha256(f"{name} {wanted.size} {wanted.color} {wanted.version}".encode())
    digest.update(save(dict(sorted(state.weights_of(network.backbone).items()))))
    for numbers in (network.mean, network.scale):
        digest.update(numbers.cpu().numpy().astype("<f4").tobytes())
    return digest.hexdigest()


def fill(
    folder: Path,
    ids: Sequence[str],
    pixels: Pixels,
    network: Classifier,
    *,
    name: str,
    wanted: Preprocessing,
    progress: Progress = SILENT,
) -> Embeddings:
    """Features of the samples ``ids``, whose ``pixels`` stand in the same order, by the backbone called ``name``.

    Only images this backbone has not seen are computed. The store below ``folder`` may be deleted or cut off at any
    instant (see :mod:`emolab.training.inputs.row_store`); those of other backbones go when there are more than four.
    Raises :class:`DataError` for features that half precision cannot hold, ``ValueError`` for pixels of two decodings.
    """
    if pixels.other is not None:
        raise ValueError("features are kept by one way of decoding; these pixels come from two")
    ids = pixels.names(ids)
    file = folder / f"embeddings-{key(network, name, wanted)[:24]}" / FILE
    place = {sample: row for row, sample in enumerate(ids)}
    device = network.mean.device
    missing = len(place.keys() - rows.known(file))
    network.eval()
    with progress.task("Embedding", missing, unit="samples") if missing else nullcontext() as task:

        def embedded(part: list[str]) -> tuple[NDArray[np.float16], list[str]]:
            chosen = np.array([place[sample] for sample in part], dtype=np.int64)
            with torch.inference_mode():
                found = network.features(batches.as_images(pixels.take(chosen), device)).cpu().numpy()
            with np.errstate(over="ignore"):
                made: NDArray[np.float16] = found.astype(np.float16)
            bad = int((~np.isfinite(made)).any(axis=1).sum())
            if bad:
                raise DataError(
                    f"{name} gives features for {bad} of {len(part)} images that are not numbers or beyond 65,504.",
                    hint="The weights are damaged or do not fit; choose others with --set training.weights=PATH.",
                )
            if task:
                task.advance(len(part))
            return made, part

        array, places = rows.fill(file, ids, embedded, dtype=np.float16, shape=(network.head.in_features,))
    rows.forget_others(file.parent)
    return Embeddings(array, places)
