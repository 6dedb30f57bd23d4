"""FER+ faces and RAVDESS clips as a model sees them, unchanged and changed in planted ways; computed once and kept.

Arrays of all kinds of one material are stacked: row ``kind * n + i`` is sample ``i`` in that kind.
"""

from __future__ import annotations

import csv
import io
import os
import re
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from numpy.typing import NDArray
from PIL import Image

from emolab.monitoring.reference import Observations

#: Faces of FER+ train that drifting streams are made of: one half for choices, the other one for the report.
DRIFTING = 10_000
#: Actors whose clips teach the model of voices; the others are what it sees.
ACTORS_LEARNED = 5

Faces = NDArray[np.uint8]


@dataclass(frozen=True)
class Material:
    """``probs``, ``embeddings`` and ``quality`` (kinds * n, ...), the names of the kinds, ``truth`` (n,) classes, -1
    where unknown, and ``group`` (n,), the actor; all in the order of the samples."""

    classes: tuple[str, ...]
    kinds: tuple[str, ...]
    probs: NDArray[np.float32]
    embeddings: NDArray[np.float32]
    quality: NDArray[np.float32]
    columns: tuple[str, ...]
    truth: NDArray[np.int64]
    group: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.truth)

    def seen(self, rows: NDArray[np.int64]) -> Observations:
        """Those rows of the stacked arrays."""
        quality = {name: self.quality[rows, i] for i, name in enumerate(self.columns)}
        return Observations(
            classes=self.classes, probs=self.probs[rows], embeddings=self.embeddings[rows], quality=quality
        )


def data(name: str) -> Path:
    """A file of the test data pack."""
    root = Path(os.environ.get("EMOLAB_TEST_DATA") or Path(__file__).resolve().parents[3] / "shared") / "data"
    if not (root / name).is_file():
        sys.exit(f"The test data pack is not at {root.parent}; set EMOLAB_TEST_DATA.")
    return root / name


def kept_in() -> Path:
    """Where arrays and the peers' environments are kept: EMOLAB_BENCHMARK_CACHE, else the user's cache."""
    folder = os.environ.get("EMOLAB_BENCHMARK_CACHE") or platformdirs.user_cache_path("emolab") / "benchmarks"
    path = Path(folder) / "monitoring"
    path.mkdir(parents=True, exist_ok=True)
    return path


def kept(name: str, make: Callable[[], Material]) -> Material:
    """The material called ``name``, made when it is not there yet."""
    file = kept_in() / f"{name}.npz"
    if not file.exists():
        made = make()
        part = file.with_suffix(".part.npz")
        np.savez(part, allow_pickle=False, **{key: np.asarray(value) for key, value in vars(made).items()})
        part.replace(file)
    held = np.load(file)
    return Material(
        classes=tuple(held["classes"].tolist()),
        kinds=tuple(held["kinds"].tolist()),
        columns=tuple(held["columns"].tolist()),
        probs=held["probs"],
        embeddings=held["embeddings"],
        quality=held["quality"],
        truth=held["truth"],
        group=held["group"],
    )


# -- faces -------------------------------------------------------------------------------------------------------------


def faces(part: str, n: int | None, *, changed: bool = False) -> Material:
    """FER+ ``part`` (Train or Valid), the first ``n``, as face48 sees them; ``changed``: in each planted way too."""

    def make() -> Material:
        pixels, truth = read_faces(part, n)
        kinds: dict[str, Callable[[Faces], Faces]] = {"as it is": lambda given: given}
        if changed:
            kinds |= CHANGES
        made = [look(change(pixels)) for change in kinds.values()]
        return Material(
            classes=made[0][3],
            kinds=tuple(kinds),
            probs=np.concatenate([one[0] for one in made]),
            embeddings=np.concatenate([one[1] for one in made]),
            quality=np.concatenate([one[2] for one in made]),
            columns=("blur", "brightness", "contrast"),
            truth=truth,
            group=np.zeros(len(truth), dtype=np.int64),
        )

    return kept(f"faces_{part.lower()}_{n or 'all'}{'_changed' if changed else ''}", make)


def read_faces(part: str, n: int | None) -> tuple[Faces, NDArray[np.int64]]:
    """Pixels (n, 48, 48) and the majority's class (n,), -1 where there is none of the eight."""
    archive = zipfile.ZipFile(data(f"ferplus_{part.lower()}.zip"))
    rows = list(csv.reader(io.TextIOWrapper(archive.open(f"FER2013{part}/label.csv"))))
    if n is not None:  # the file is in an order of its own
        rows = [rows[i] for i in sorted(np.random.default_rng(7).permutation(len(rows))[:n].tolist())]
    pixels = [np.asarray(Image.open(io.BytesIO(archive.read(f"FER2013{part}/{row[0]}")))) for row in rows]
    votes = np.array([[int(vote) for vote in row[2:]] for row in rows])
    votes[votes == 1] = 0  # the majority mode of the FER+ paper
    top = votes.argmax(axis=1)
    clear = (votes.max(axis=1) > votes.sum(axis=1) / 2) & (top < 8)
    return np.stack(pixels), np.where(clear, top, -1)


def look(pixels: Faces) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], tuple[str, ...]]:
    """Probabilities, embeddings and quality of faces, and the classes."""
    from emolab.loop.model.open_model import open_model
    from emolab.modalities.image.quality import judge

    model = open_model(None, "face48", threads=1)
    probs, embeddings, quality = [], [], []
    for start in range(0, len(pixels), 500):
        some = pixels[start : start + 500]
        answers, features = model.probabilities_and_features(some[..., None])
        judged = judge([Image.fromarray(one) for one in some], [(48, 48)] * len(some))
        probs.append(answers)
        embeddings.append(features)
        quality.append([[one.quality[name] for name in ("blur", "brightness", "contrast")] for one in judged])
    return np.concatenate(probs), np.concatenate(embeddings), np.concatenate(quality).astype(np.float32), model.classes


def new_camera(pixels: Faces) -> Faces:
    """A lens a little soft, noise of the sensor, another tone curve."""
    from scipy.ndimage import gaussian_filter

    soft = gaussian_filter(pixels.astype(np.float32), (0, 0.5, 0.5))
    noise = np.random.default_rng(3).normal(0, 3, pixels.shape)
    return np.asarray(np.clip(255 * (soft / 255) ** 0.9 + noise, 0, 255), dtype=np.uint8)


def darker_room(pixels: Faces) -> Faces:
    """A fifth less light."""
    return (pixels * 0.8).astype(np.uint8)


def mirrored(pixels: Faces) -> Faces:
    """As a selfie camera shows it."""
    return np.ascontiguousarray(pixels[:, :, ::-1])


def compressed(pixels: Faces) -> Faces:
    """JPEG of quality 40."""
    found = []
    for one in pixels:
        held = io.BytesIO()
        Image.fromarray(one).save(held, "JPEG", quality=40)
        found.append(np.asarray(Image.open(held)))
    return np.stack(found)


CHANGES: dict[str, Callable[[Faces], Faces]] = {
    "new camera": new_camera,
    "darker room": darker_room,
    "mirrored input": mirrored,
    "another compression": compressed,
}


# -- voices ------------------------------------------------------------------------------------------------------------


def voices() -> Material:
    """RAVDESS speech of 15 actors, by computed features and a logistic model that five other actors have taught."""
    return kept("voices", _voices)


def _voices() -> Material:
    from benchmarks.campaigns.ravdess import CLASSES, clip_features
    from emolab.modalities.audio.reading.sound import load
    from emolab.modalities.audio.sound_quality import measure

    archive = zipfile.ZipFile(data("ravdess_speech_16k.zip"))
    names = sorted(name for name in archive.namelist() if name.endswith(".flac"))
    told = [re.findall(r"\d+", Path(name).stem) for name in names]
    truth = np.array([int(one[2]) - 1 for one in told])
    actors = np.array([int(one[6]) for one in told])
    features, quality = [], []
    for name in names:
        held = archive.read(name)
        features.append(clip_features(held))
        measured = measure((load(held).samples * 32_767).astype(np.int16))
        quality.append([measured[key] for key in ("loudness", "snr", "voice")])
    taught, rest = np.flatnonzero(actors <= ACTORS_LEARNED), np.flatnonzero(actors > ACTORS_LEARNED)
    values = np.stack(features).astype(np.float64)
    values = (values - values[taught].mean(axis=0)) / (values[taught].std(axis=0) + 1e-6)
    _, _, axes = np.linalg.svd(values[taught], full_matrices=False)
    placed = values @ axes[:64].T
    return Material(
        classes=CLASSES,
        kinds=("as it is",),
        probs=_taught(placed, truth, taught)[rest].astype(np.float32),
        embeddings=placed[rest].astype(np.float32),
        quality=np.array(quality, dtype=np.float32)[rest],
        columns=("loudness", "snr", "voice"),
        truth=truth[rest].astype(np.int64),
        group=actors[rest].astype(np.int64),
    )


def _taught(features: NDArray[np.float64], truth: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[np.float64]:
    from emolab.stats.logistic import solve

    solution, _ = solve(features[rows], np.eye(8)[truth[rows]])
    return solution.probabilities(features)
