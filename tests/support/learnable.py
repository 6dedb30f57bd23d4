"""Images that a network learns in seconds: class i is a bright bar at height i on noise."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from emolab.catalog import samples, votes
from emolab.config import TrainingConfig
from emolab.loop.model.train import train
from emolab.records import Sample, Vote
from emolab.training.inputs.pixel_cache import Pixels
from emolab.training.inputs.training_set import TrainingSet, training_set
from emolab.training.runs.recipes import Plan, plan
from emolab.workspace import Workspace

SIZE = 16


def bars(n: int, k: int, *, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """n gray images (n, 16, 16, 1) and their classes (n,), as even as possible."""
    rng = np.random.default_rng(seed)
    truth = rng.permutation(np.arange(n) % k)
    images = rng.integers(0, 90, (n, SIZE, SIZE, 1), dtype=np.uint8)
    for image, label in zip(images, truth, strict=True):
        row = int(label * SIZE / k)
        image[row : row + max(2, SIZE // k)] = 230
    return images, truth


def identifiers(n: int) -> list[str]:
    return [hashlib.sha256(str(i).encode()).hexdigest() for i in range(n)]


def problem(n: int = 60, k: int = 3, *, valid: int = 20, seed: int = 0) -> tuple[Pixels, TrainingSet]:
    """Pixels and a training set of n images, ``valid`` of them for validation."""
    images, truth = bars(n, k, seed=seed)
    data = training_set(
        classes=tuple(f"c{i}" for i in range(k)),
        ids=identifiers(n),
        probs=np.eye(k)[truth],
        splits=["valid"] * valid + ["train"] * (n - valid),
    )
    return Pixels.of(images), data


def quick(n_train: int = 40, *, found: str = "gray", **changes: object) -> Plan:
    """A plan that ends within seconds on one core."""
    settings: dict[str, object] = {
        "backbone": "tiny", "size": SIZE, "epochs": 3, "batch": 10, "threads": 1, "precision": "float32",
        "strength": 0.3, "average": 0.9,
    }  # fmt: skip
    return plan(TrainingConfig(**{**settings, **changes}), n_train=n_train, color=found)  # type: ignore[arg-type]


def png(image: NDArray[np.uint8]) -> bytes:
    out = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(out, "PNG")
    return out.getvalue()


def fill_workspace(workspace: Workspace, n: int = 48, *, seed: int = 0, group: str | None = None) -> dict[str, int]:
    """Put n bar images with two votes each into ``workspace``; class index by sample id."""
    classes = workspace.config.project.classes
    images, truth = bars(n, len(classes), seed=seed)
    workspace.media.mkdir(parents=True, exist_ok=True)
    found, cast, answer = [], [], {}
    for image, label in zip(images, truth, strict=True):
        data = png(image)
        name = hashlib.sha256(data).hexdigest()
        file = workspace.media / f"{name}.png"
        file.write_bytes(data)
        found.append(Sample(id=name, media=file.relative_to(workspace.root).as_posix(), group=group))
        answer[name] = int(label)
        cast += [
            Vote(sample_id=name, annotator=who, label=classes[label], origin=f"test:{who}:{name}")
            for who in ("ann", "bob")
        ]
    with workspace.catalog() as catalog, catalog.begin() as tx:
        samples.add(tx, found)
        votes.append(tx, cast)
    return answer


def configure(workspace: Workspace, text: str) -> Workspace:
    """The workspace with a [training] section appended to its settings."""
    file = Path(workspace.root / "emolab.toml")
    file.write_text(file.read_text(encoding="utf-8") + f"\n[training]\n{text}\n", encoding="utf-8")
    return Workspace.open(workspace.root)


QUICK = (
    'backbone = "tiny"\nsize = 16\nepochs = 3\nbatch = 10\nthreads = 1\nprecision = "float32"\nstrength = 0.3\n'
    "average = 0.9"
)


def trained_workspace(root: Path, n: int) -> Workspace:
    """A workspace of n bar images with a model that was trained on them in seconds."""
    workspace = Workspace.init(root, classes=("happy", "sad", "neutral"))
    fill_workspace(workspace, n)
    workspace = configure(workspace, QUICK + "\ntensorboard = false")
    train(workspace)
    return workspace
