"""What a served network says of samples of the workspace, in the columns that the log of its answers has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from emolab.modalities.preparing import Unprepared, prepare
from emolab.monitoring.reference import Observations
from emolab.progress import SILENT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emolab.inference.served_model import ServedModel
    from emolab.progress import Progress
    from emolab.records import Sample
    from emolab.workspace import Workspace

#: Samples that are computed together.
PART = 64


def sample_columns(
    workspace: Workspace, served: ServedModel, found: Sequence[Sample], *, progress: Progress = SILENT
) -> tuple[Observations, NDArray[np.int64]]:
    """The columns of those of ``found`` (n) that can be read, and which of them they are (m,).

    Embeddings are rounded as in the log: a detector would see the difference.
    """
    from emolab.loop.operate.served_columns import QUALITY, measured

    names = QUALITY if served.preprocessing.has_faces else ()
    probs, embeddings, quality, rows = [], [], [], []
    with progress.task("What the model says of judged samples", len(found), unit="samples") as task:
        for start in range(0, len(found), PART):
            part = found[start : start + PART]
            shown = {
                start + i: pixels
                for i, one in enumerate(part)
                if (pixels := _pixels(workspace, served, one)) is not None
            }
            if shown:
                pixels = np.stack(list(shown.values()))
                said, features = served.probabilities_and_features(pixels)
                probs.append(said.astype(np.float32))
                embeddings.append(features.astype(np.float16))
                quality.append(measured(served, pixels))
                rows += list(shown)
            task.advance(len(part))
    k = len(served.classes)
    columns = np.concatenate(quality) if quality else np.empty((0, len(names)), np.float32)
    seen = Observations(
        classes=tuple(served.classes),
        probs=np.concatenate(probs) if probs else np.empty((0, k), np.float32),
        embeddings=np.concatenate(embeddings) if embeddings else np.empty((0, 0), np.float16),
        quality={name: columns[:, i] for i, name in enumerate(names)},
    )
    return seen, np.array(rows, dtype=np.int64)


def _pixels(workspace: Workspace, served: ServedModel, sample: Sample) -> NDArray[np.uint8] | None:
    """What the network is shown of a sample; ``None`` for one that cannot be read."""
    most = workspace.config.collect.max_pixels
    try:
        return prepare(workspace.locate(sample.media), served.preprocessing, max_pixels=most).pixels
    except Unprepared:
        return None
