"""FER+ as arrays, for benchmarks: the votes, the official majority, and what frozen networks make of the faces.

Features and probabilities are computed once per machine and kept in the user's cache.
"""

from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from platformdirs import user_cache_path

from emolab.datasets.readers import ferplus, ferplus_protocols
from emolab.datasets.voted_dataset import units
from emolab.modalities.preparing import Preprocessing
from emolab.taxonomy import PRESETS
from emolab.training.inputs import feature_cache, pixel_cache
from emolab.training.networks import backbones, bundled
from emolab.training.networks.classifier import Classifier
from emolab.training.predict import load

CLASSES = PRESETS["ferplus8"]
K = len(CLASSES)
SIZE = 96
BATCH = 256


@dataclass(frozen=True)
class Faces:
    """n faces of a split in the order of its table.

    ``votes`` (n, 10) people by column of FER+ (eight classes, unknown, not a face); ``majority`` (n,) the class that
    wins by the official protocol, -1 where none does; ``features`` (n, 1280) float16 of MobileNetV2 with ImageNet
    weights; ``probs`` (n, 8) of the bundled face48, which learned from the training split, or ``None``; ``media`` (n)
    the files.
    """

    votes: NDArray[np.int64]
    majority: NDArray[np.int64]
    features: NDArray[np.float16]
    probs: NDArray[np.float64] | None
    media: list[bytes]

    def take(self, rows: slice | NDArray[np.int64]) -> Faces:
        """Those of some faces."""
        return Faces(
            votes=self.votes[rows],
            majority=self.majority[rows],
            features=self.features[rows],
            probs=None if self.probs is None else self.probs[rows],
            media=[self.media[row] for row in np.arange(len(self.media))[rows]],
        )


def copies(*parts: Faces) -> list[NDArray[np.int64]]:
    """A number for each face (n,) of every part, the same one for near copies, within a part and across them."""
    found = units([item for part in parts for item in part.media])
    return np.split(found, np.cumsum([len(part.media) for part in parts])[:-1])


def root() -> Path:
    """The test data pack; without it the program ends and says how to name it."""
    found = Path(os.environ.get("EMOLAB_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared")
    if not (found / "data" / "ferplus_train.zip").is_file():
        sys.exit(f"The test data pack is not at {found}; set EMOLAB_TEST_DATA.")
    return found


def faces(split: str, *, limit: int | None = None, probs: bool = False) -> Faces:
    """The first ``limit`` faces of ``split`` (train or valid), with the answers of face48 if ``probs``."""
    records = list(ferplus.records(root() / "data" / f"ferplus_{split}.zip", {}))[:limit]
    media = [record.media if isinstance(record.media, bytes) else record.media.read_bytes() for record in records]
    ids = [hashlib.sha256(item).hexdigest() for item in media]
    named = dict(zip(ids, media, strict=True))
    winners = [ferplus_protocols.majority(record.votes) for record in records]
    return Faces(
        votes=np.array([[record.votes.get(name, 0) for name in ferplus_protocols.COLUMNS] for record in records]),
        majority=np.array([-1 if winner is None else CLASSES.index(winner) for winner in winners]),
        features=_features(ids, named),
        probs=_face48(ids, named) if probs else None,
        media=media,
    )


def _features(ids: list[str], media: dict[str, bytes]) -> NDArray[np.float16]:
    weights = root() / "weights" / "mobilenet_v2_imagenet.safetensors"
    backbone = backbones.build("mobilenet_v2", str(weights), size=SIZE)
    network = Classifier(backbone, K, dropout=0.0).eval().to(memory_format=torch.channels_last)
    folder, wanted = user_cache_path("emolab") / "benchmarks", Preprocessing(SIZE, "gray")
    known = list(media)
    pixels = pixel_cache.fill(folder, known, media.__getitem__, wanted)
    found = feature_cache.fill(folder, known, pixels, network, name="mobilenet_v2", wanted=wanted)
    place = {key: row for row, key in enumerate(known)}
    rows = found.rows[np.array([place[key] for key in ids], dtype=np.int64)]
    return np.asarray(found.array[rows])


def _face48(ids: list[str], media: dict[str, bytes]) -> NDArray[np.float64]:
    folder = bundled.folder("face48")
    assert folder is not None  # it comes with the package
    predictor = load(folder, device="cpu")
    order = [CLASSES.index(name) for name in predictor.checkpoint.classes]
    pixels = pixel_cache.fill(
        user_cache_path("emolab") / "benchmarks", list(media), media.__getitem__, predictor.checkpoint.preprocessing
    )
    place = {key: row for row, key in enumerate(media)}
    rows = np.array([place[key] for key in ids], dtype=np.int64)
    parts = [predictor.probabilities(pixels.take(part))[0] for part in np.array_split(rows, -(-len(rows) // BATCH))]
    found = np.empty((len(rows), K))
    found[:, order] = np.concatenate(parts)
    return found
