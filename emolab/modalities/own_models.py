"""Models that a modality runs by itself, without a network: found by what their document says, used alike."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: The document that every model has in its folder.
DOCUMENT = "model.json"
#: What ``modality`` in a document says -> what opens such a folder.
_OPENERS: Mapping[str, str] = {"text": "emolab.modalities.text.text_model:load"}


class OwnModel(Protocol):
    """A model that says of each class by itself how likely it is, so that a sample may have several."""

    @property
    def id(self) -> str:
        """The hash of what it is."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """Names in the order of its outputs."""
        ...

    def answers(self, media: Sequence[bytes | Path]) -> tuple[NDArray[np.float32], dict[int, str]]:
        """Probabilities (n, k) of ``media`` (n), and why some cannot be read, by position; their rows are 0."""
        ...

    def labels(self, probs: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
        """Which classes (n, k) ``probs`` (n, k) say."""
        ...


def own_model(folder: Path) -> OwnModel | None:
    """The model in ``folder`` where its modality runs it by itself; ``None`` for a network or no model at all.

    Raises :class:`emolab.errors.DataError` for a damaged one.
    """
    try:
        document = json.loads((folder / DOCUMENT).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None  # what reads networks says it better
    kind = document.get("modality") if isinstance(document, dict) else None
    if not isinstance(kind, str) or kind not in _OPENERS:
        return None
    module, _, function = _OPENERS[kind].partition(":")
    opener: Callable[[Path], OwnModel] = getattr(import_module(module), function)
    return opener(folder)
