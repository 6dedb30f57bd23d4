"""Purpose, data, figures and limits of a model."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emolab.loop.model.models import folder_in
from emolab.results import Result

if TYPE_CHECKING:
    from emolab.workspace import Workspace


@dataclass(frozen=True, slots=True)
class ModelCard(Result):
    """The ``card``, as Markdown, of the model in ``folder`` that was named ``model``."""

    model: str
    folder: Path
    card: str

    def __str__(self) -> str:
        return self.card

    def _repr_html_(self) -> str:
        return f'<pre style="white-space:pre-wrap">{escape(self.card)}</pre>'

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: ARG002 - IPython calls it so
        printer.text(self.card)


def card(model: str | Path = "champion", *, workspace: Workspace | None = None) -> ModelCard:
    """The model card of ``model``: face48, champion, the start of an id, or a folder.

    Raises :class:`UnknownName` for a model that there is not.
    """
    from emolab.errors import MissingExtra
    from emolab.loop.model.judging.own_card import own_card
    from emolab.modalities.own_models import own_document

    folder = folder_in(workspace, str(model))
    document = own_document(folder)
    if document is not None:
        return ModelCard(str(model), folder, own_card(document))
    try:
        from emolab.training.judging.card import card as written
    except ImportError as error:
        raise MissingExtra("PyTorch", "train") from error
    return ModelCard(str(model), folder, written(folder))
