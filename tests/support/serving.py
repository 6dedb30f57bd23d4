"""A service with a fake model, small enough for every test of the application."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from starlette.testclient import TestClient

from emolab.config import CollectConfig, ServeConfig
from emolab.modalities.own_models import OwnModel
from emolab.modalities.preparing import Preprocessing
from emolab.serving.app.application import create
from emolab.serving.audit import AuditLog
from emolab.serving.keys import KeyFile
from emolab.serving.model_host import Batching, ModelHost, ModelVersion
from emolab.serving.own_predictor import OwnPredictor
from emolab.serving.predictor import Predictor
from emolab.serving.service import Service

CLASSES = ("happiness", "sadness")


@dataclass
class FakeModel:
    """Says happiness as far as a picture is bright. ``gate`` holds it back until it is set."""

    id: str = "a" * 64
    classes: tuple[str, ...] = CLASSES
    preprocessing: Preprocessing = field(default_factory=lambda: Preprocessing(8, "gray"))
    conformal: dict[str, object] = field(default_factory=dict)
    gate: threading.Event | None = None
    batches: list[int] = field(default_factory=list)
    begun: threading.Event = field(default_factory=threading.Event)

    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.begun.set()
        if self.gate is not None:
            assert self.gate.wait(30)
        self.batches.append(len(pixels))
        bright = pixels.reshape(len(pixels), -1).mean(axis=1) / 255
        return np.stack([bright, 1 - bright], axis=1).astype(np.float32)


def picture(level: int = 255, *, size: tuple[int, int] = (8, 8), format: str = "PNG") -> bytes:
    """The bytes of an even gray picture."""
    stream = io.BytesIO()
    Image.new("L", size, level).save(stream, format)
    return stream.getvalue()


def version(
    model: FakeModel | OwnModel | None = None, *, batching: Batching | None = None, name: str = "champion"
) -> ModelVersion:
    """A model at work; pictures are taken as they are."""
    looking = CollectConfig(faces="off", max_pixels=1_000_000)
    model = model or FakeModel()
    return ModelVersion(
        predictor=OwnPredictor(model, looking) if hasattr(model, "answers") else Predictor(model, looking),
        name=name,
        card="# A card",
        batching=batching or Batching(),
    )


def service(
    folder: Path, model: FakeModel | OwnModel | None = None, *, keys: bool = False, batching: Batching | None = None,
    **settings: object,
) -> Service:  # fmt: skip
    """A service on loopback with ``model``; ``settings`` of the section serve. Close it."""
    config = replace(ServeConfig(), **settings)  # type: ignore[arg-type]
    return Service(
        host=ModelHost(version(model, batching=batching)),
        config=config,
        keys=KeyFile(folder / "keys.json"),
        audit=AuditLog(folder / "audit"),
        demand_keys=keys,
    )


def client(made: Service, **options: object) -> TestClient:
    """A client in this process, which speaks to the application under a local name."""
    return TestClient(create(made, environment={}), base_url="http://localhost", **options)  # type: ignore[arg-type]


Maker = Callable[..., Service]
