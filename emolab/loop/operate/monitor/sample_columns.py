"""What a served model says of samples of the workspace, in the columns that the log of its answers has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from emolab.monitoring.reference import Observations
from emolab.progress import SILENT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emolab.loop.operate.logged_models import LoggedModel
    from emolab.progress import Progress
    from emolab.records import Sample
    from emolab.workspace import Workspace

#: Samples that are computed together.
PART = 64


def sample_columns(
    workspace: Workspace, served: LoggedModel, found: Sequence[Sample], *, progress: Progress = SILENT
) -> tuple[Observations, NDArray[np.int64]]:
    """The columns of those of ``found`` (n) that can be read, and which of them they are (m,).

    Embeddings are rounded as in the log: a detector would see the difference.
    """
    names, most = served.quality_names, workspace.config.collect.max_pixels
    probs, embeddings, quality, rows = [], [], [], []
    with progress.task("What the model says of judged samples", len(found), unit="samples") as task:
        for start in range(0, len(found), PART):
            part = found[start : start + PART]
            read = [served.seen(workspace.locate(one.media), max_pixels=most) for one in part]
            shown = {start + i: one for i, one in enumerate(read) if one is not None}
            if shown:
                said, features = served.answers(list(shown.values()))
                probs.append(said.astype(np.float32))
                embeddings.append(features.astype(np.float16))
                quality.append(served.quality(list(shown.values())))
                rows += list(shown)
            task.advance(len(part))
    k = len(served.classes)
    columns = np.concatenate(quality) if quality else np.empty((0, len(names)), np.float32)
    seen = Observations(
        classes=tuple(served.classes),
        probs=np.concatenate(probs) if probs else np.empty((0, k), np.float32),
        embeddings=np.concatenate(embeddings) if embeddings else np.empty((0, 0), np.float16),
        quality={name: columns[:, i] for i, name in enumerate(names)},
        thresholds=served.thresholds,
    )
    return seen, np.array(rows, dtype=np.int64)
