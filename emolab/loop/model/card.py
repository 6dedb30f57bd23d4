"""Purpose, data, figures and limits of a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from emolab.loop.model.models import folder_in

if TYPE_CHECKING:
    from emolab.workspace import Workspace


def card(model: str | Path = "champion", *, workspace: Workspace | None = None) -> str:
    """The model card, as Markdown, of ``model``: face48, champion, the start of an id, or a folder."""
    from emolab.errors import MissingExtra

    try:
        from emolab.training.judging.card import card as written
    except ImportError as error:
        raise MissingExtra("PyTorch", "train") from error
    return written(folder_in(workspace, str(model)))
