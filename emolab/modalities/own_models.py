"""Models that a modality learns and runs by itself, without a network, used alike whatever the modality is."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from emolab.progress import Progress

#: The document that every model has in its folder.
DOCUMENT = "model.json"
#: What ``modality`` in a document says -> what opens such a folder.
_OPENERS: Mapping[str, str] = {"text": "emolab.modalities.text.text_model:load"}
#: The modality of a workspace -> what learns from its samples by itself.
_LEARNERS: Mapping[str, str] = {"text": "emolab.modalities.text.learn:learn_media"}


class OwnModel(Protocol):
    """A model that says of each class by itself how likely it is, so that a sample may have several."""

    @property
    def id(self) -> str:
        """The hash of what it is."""
        ...

    @property
    def modality(self) -> str:
        """What it reads, as in ``project.modality``."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """Names in the order of its outputs."""
        ...

    def answers(self, media: Sequence[bytes | Path]) -> tuple[NDArray[np.float32], dict[int, str]]:
        """Probabilities (n, k) of ``media`` (n), and why some cannot be read, by position; their rows are 0."""
        ...

    def caption(self, media: bytes) -> str:
        """``media`` in a few words."""
        ...

    def labels(self, probs: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
        """Which classes (n, k) ``probs`` (n, k) say."""
        ...

    def save(self, folder: Path) -> str:
        """Write it into ``folder``; its id."""
        ...


class Learner(Protocol):
    """What learns from samples of a modality without a network."""

    def __call__(
        self,
        media: Sequence[bytes | Path],
        shares: NDArray[np.floating[Any]],
        classes: Sequence[str],
        *,
        supported: NDArray[np.bool_],
        groups: Sequence[str | None],
        seed: int,
        progress: Progress,
    ) -> OwnLearnt:
        """From ``media`` (n) and distributions of votes ``shares`` (n, k).

        ``supported`` (n, k) says which classes a sample's source can show.
        Raises :class:`emolab.errors.DataError` where there is too little to learn from.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class OwnLearnt:
    """The ``model``; ``settings`` of it by name; Newton ``steps`` and ``penalty`` of its heads; what was left out."""

    model: OwnModel
    backbone: str
    settings: Mapping[str, Any]
    steps: int
    penalty: float
    left_out: Mapping[int, str]


def own_learner(modality: str) -> Learner | None:
    """What learns from samples of ``modality`` by itself; ``None`` where a network is trained."""
    if modality not in _LEARNERS:
        return None
    module, _, function = _LEARNERS[modality].partition(":")
    found: Learner = getattr(import_module(module), function)
    return found


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
