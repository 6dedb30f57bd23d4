"""A backbone that learns from the images alone, before there are labels."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from emolab.loop.given import check_given
from emolab.loop.sample_files import media_of
from emolab.progress import SILENT
from emolab.results import Result
from emolab.words import many

if TYPE_CHECKING:
    from emolab.progress import Progress
    from emolab.training.pretraining.workspace_pretraining import PretrainedStart
    from emolab.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Pretrained(Result):
    """The weights that trainings may ``start`` from, samples ``left_out``, and the epoch a stopped run went on after.

    ``resumed_at`` is ``None`` where nothing had changed since and nothing was done.
    """

    start: PretrainedStart
    left_out: int
    resumed_at: int | None

    def to_dict(self) -> dict[str, Any]:
        """Everything there is to tell, ready for JSON."""
        told = {**asdict(self.start), "weights": str(self.start.weights)}
        return {**told, "left_out": self.left_out, "resumed_at": self.resumed_at}


def pretrain(
    workspace: Workspace, *, epochs: int | None = None, device: str | None = None, progress: Progress = SILENT
) -> Pretrained:
    """Train the backbone of the settings on every image of the workspace without any label.

    Images of valid and test, their copies and what is grouped with them are left out. ``epochs`` are by their number
    where not given. A stopped run goes on. Raises :class:`DataError` with too few images.
    """
    from emolab.catalog import pool_columns
    from emolab.catalog.privacy import consents
    from emolab.errors import ConfigError, MissingExtra

    try:
        from emolab.modalities.modality import open_modality
        from emolab.modalities.preparing import COLORS, Preprocessing
        from emolab.training.inputs.usable_samples import unusable
        from emolab.training.pretraining import workspace_pretraining
        from emolab.training.runs.disk_full import room
    except ImportError as error:
        raise MissingExtra("PyTorch", "train") from error
    check_given({"training.epochs": epochs})
    workspace = workspace.with_settings({"training.device": device})
    config = workspace.config.training
    with workspace.catalog() as catalog, catalog.connect() as conn:
        may = consents.allowed(conn, "train", required=workspace.config.privacy.consent_required)
        pool = pool_columns.read(conn, only=may.clause)
    if may.barred:
        progress.note(may.told())
    ids = workspace_pretraining.learnable(pool)
    media = media_of(workspace)
    color = open_modality(workspace.config.project.modality).color([*map(media, ids)])
    if not COLORS[color].mirrors:
        raise ConfigError(
            "emolab pretrain turns and mirrors pictures, which says nothing about sounds.",
            hint="Train on labels at once: emolab train",
        )
    made = workspace_pretraining.plan(config, n=len(ids), color=color, epochs=epochs)
    damaged = unusable(workspace, ids, media, Preprocessing(made.size, made.color), learn=set(ids), progress=progress)
    if damaged:
        ids = [sample for sample in ids if sample not in damaged]
        made = workspace_pretraining.plan(config, n=len(ids), color=color, epochs=epochs)
    if len(ids) < workspace_pretraining.FEW:
        progress.warn(
            f"{many(len(ids), 'image')} will probably teach little: the measured gain came from 25,000, and so few "
            "have not been tried. Compare with --set training.weights=none before you trust it."
        )
    with room():
        start, done = workspace_pretraining.learn(workspace, ids, made, media, progress=progress)
    if done is None:
        progress.note("Nothing changed since this was pretrained; it is kept as it is.")
    elif done:
        progress.note(f"It went on after epoch {done} of {made.epochs}.")
    return Pretrained(start=start, left_out=len(pool.ids) - len(ids), resumed_at=done)
