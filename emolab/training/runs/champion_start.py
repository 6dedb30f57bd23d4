"""Starting from the backbone the champion has."""

from __future__ import annotations

from dataclasses import replace

from emolab.catalog import models
from emolab.config import TrainingConfig
from emolab.errors import ConfigError, DataError
from emolab.inference import model_document
from emolab.training import checkpoint
from emolab.training.networks.backbones import COMPUTED, is_blank
from emolab.workspace import Workspace


def resolve(workspace: Workspace, config: TrainingConfig) -> tuple[TrainingConfig, str]:
    """``config`` with ``weights = champion`` replaced by what that is now, and the champion's id or ``""``.

    The champion brings its backbone along, and size and colour where they are left open. With ``mode = head`` and a
    backbone that has no weights of its own, ``default`` means the champion's too. Raises :class:`DataError` when there
    is no champion, :class:`ConfigError` when the settings name another backbone.
    """
    implied = config.mode == "head" and config.weights == "default" and is_blank(config.backbone)
    if config.weights != "champion" and not implied:
        return config, ""
    with workspace.catalog() as catalog, catalog.connect() as conn:
        found = models.find(conn, "champion")
    if found is None:
        if implied:
            return config, ""
        raise DataError(
            "training.weights is champion, but there is no champion yet.",
            hint="Train a first model with: emolab train --set training.weights=default",
        )
    folder = workspace.root / found.path
    described = model_document.describe(folder)
    if config.backbone not in (described.backbone, TrainingConfig().backbone):
        raise ConfigError(
            f"training.weights is champion, a {described.backbone}, but training.backbone is {config.backbone}.",
            hint=f"Use --set training.backbone={described.backbone}, or other weights.",
        )
    weights = str(folder / checkpoint.WEIGHTS)
    made = replace(
        config,
        backbone=described.backbone,
        weights="default" if described.backbone in COMPUTED else weights,
        size=described.size if config.size is None else config.size,
        color=described.color if config.color == "auto" else config.color,
    )
    return made, found.id
