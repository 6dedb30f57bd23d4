"""What a served model was asked in past weeks: log parts as `emolab serve` writes them, at chosen times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from emolab.inference.served_model import ServedModel
from emolab.loop.model.open_model import open_model
from emolab.loop.operate.logged_models import LoggedNetwork, shape_of_log
from emolab.loop.operate.served_columns import FOLDER
from emolab.monitoring.served_log import ServedLog
from emolab.workspace import Workspace
from tests.support.learnable import bars

#: A Monday.
MONDAY = datetime(2026, 3, 2, tzinfo=UTC)


def week(number: int) -> datetime:
    """The beginning of a week; the first is 0."""
    return MONDAY + timedelta(weeks=number)


def asked(
    workspace: Workspace, model: ServedModel, images: NDArray[np.uint8], begin: datetime, *, days: int = 7
) -> None:
    """``model`` answered ``images`` (n, side, side, 1) in equal parts on each of the ``days`` from ``begin``."""
    logged, shown = LoggedNetwork(model), list(images)
    probs, features = logged.answers(shown)
    shape = shape_of_log(logged, features.shape[1])
    log = ServedLog(workspace.state / FOLDER, shape, days=100_000, most=1 << 40)
    quality = logged.quality(shown)
    for number, rows in enumerate(np.array_split(np.arange(len(images)), days)):
        if len(rows):
            columns = {"probs": probs[rows], "embeddings": features[rows], "quality": quality[rows]}
            log.append(columns, (begin + timedelta(days=number, hours=9)).timestamp())
    log.close()


def opened(workspace: Workspace, name: str = "champion") -> ServedModel:
    """The model as it is served."""
    return open_model(workspace, name)


def usual(n: int, seed: int, k: int = 3) -> NDArray[np.uint8]:
    """Images as the model knows them."""
    return bars(n, k, seed=seed)[0]


def darker(n: int, seed: int, k: int = 3) -> NDArray[np.uint8]:
    """The same in a darker room."""
    return (usual(n, seed, k) * 0.55).astype(np.uint8)
