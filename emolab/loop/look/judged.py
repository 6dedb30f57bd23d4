"""What a model said of the validation samples that it was judged on, face by face, from what was stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from sqlalchemy import Connection

    from emolab.records import Model
    from emolab.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Validation samples ``ids`` of a model with predictions: ``truth`` (n,) and ``probs`` (n, k) by ``classes``.

    ``missing`` counts the validation samples that it has no stored prediction of.
    """

    model: Model
    classes: tuple[str, ...]
    ids: Sequence[str]
    truth: NDArray[np.int64]
    probs: NDArray[np.float32]
    missing: int

    @property
    def guess(self) -> NDArray[np.int64]:
        """The class (n,) that the model thought likeliest."""
        best: NDArray[np.int64] = self.probs.argmax(axis=1)
        return best

    @property
    def whole(self) -> bool:
        """Whether there is a prediction of every validation sample, and there is any."""
        return not self.missing and len(self.ids) > 0


def looks_again(workspace: Workspace) -> str:
    """What makes the predictions that are missing."""
    from emolab.modalities.modality import open_modality

    inspected = open_modality(workspace.config.project.modality).in_fiftyone
    commands = "emolab inspect, or emolab suggest" if inspected else "emolab suggest"
    return f"Let the model look at all samples: {commands} while there are new ones."


def judged(workspace: Workspace, conn: Connection, model: Model) -> Judged:
    """What ``model`` said of its validation samples, as far as it was stored.

    The truth is what its snapshot says, so these are the samples behind the figures that were stored with it. Raises
    :class:`DataError` for a snapshot that cannot be read.
    """
    import numpy as np

    from emolab.catalog import snapshots as known
    from emolab.inference import prediction_store
    from emolab.provenance import snapshots

    kept = known.find(conn, model.snapshot)
    nothing = np.empty(0, dtype=np.int64)
    if kept is None:
        return Judged(
            model=model, classes=model.classes, ids=(), truth=nothing, missing=0,
            probs=np.empty((0, len(model.classes)), dtype=np.float32),
        )  # fmt: skip
    classes, ids, truth = snapshots.read_split(workspace.root / kept.path, "valid")
    found, own, probs = prediction_store.pick(workspace.predictions_folder / model.id, ids)
    if set(own) != set(classes):
        found, probs = [], np.empty((0, len(classes)), dtype=np.float32)
    else:
        probs = probs[:, [own.index(name) for name in classes]]
    if len(found) < len(ids):
        there = set(found)
        truth = truth[np.array([each in there for each in ids], dtype=bool)]
    return Judged(model=model, classes=classes, ids=found, truth=truth, probs=probs, missing=len(ids) - len(found))


def aligned(one: Judged, other: Judged) -> tuple[Judged, Judged] | None:
    """Both on the validation samples they share, with the same truth; ``None`` where their classes differ."""
    import numpy as np

    from emolab.inference.id_matching import IdMatcher

    if set(one.classes) != set(other.classes):
        return None
    if one.ids == other.ids:
        theirs = mine = np.arange(len(one.ids))
    else:
        theirs, mine = IdMatcher(one.ids).find("\n".join(other.ids).encode())
        theirs, mine = theirs[np.argsort(mine)], np.sort(mine)  # in the order of the first
    order = [other.classes.index(name) for name in one.classes]
    renamed = np.array([one.classes.index(name) for name in other.classes], dtype=np.int64)
    same = renamed[other.truth[theirs]] == one.truth[mine]
    mine, theirs = mine[same], theirs[same]
    ids, truth = [one.ids[row] for row in mine.tolist()], one.truth[mine]
    return (
        Judged(model=one.model, classes=one.classes, ids=ids, truth=truth, probs=one.probs[mine], missing=0),
        Judged(model=other.model, classes=one.classes, ids=ids, truth=truth, probs=other.probs[theirs][:, order],
               missing=0),
    )  # fmt: skip
