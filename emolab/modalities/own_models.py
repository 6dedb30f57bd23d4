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

    from emolab.config import TrainingConfig
    from emolab.progress import Progress
    from emolab.stats.search_space import SearchSpace

#: The document that every model has in its folder.
DOCUMENT = "model.json"
#: What ``modality`` and ``runs`` in a document say -> what opens such a folder.
_OPENERS: Mapping[tuple[str, str], str] = {
    ("text", ""): "emolab.modalities.text.text_model:load",
    ("text", "encoder"): "emolab.training.sentences.encoder_model:load",
}
#: The modality of a workspace -> what learns from its samples by itself, and what does so with an encoder in a folder.
_LEARNERS: Mapping[str, tuple[str, str]] = {
    "text": (
        "emolab.modalities.text.learn:learn_media",
        "emolab.training.sentences.learn_with_encoder:learn_media",
    )
}
#: The modality of a workspace -> features (n, d) of its samples (n) for which nothing was learned from labels.
_FEATURES: Mapping[str, str] = {"text": "emolab.modalities.text.projection:features_of"}
#: The modality of a workspace -> which settings such a learner heeds and what they may be, without an encoder and with.
_SPACES: Mapping[str, tuple[str, str]] = {
    "text": (
        "emolab.modalities.text.learn:search_space",
        "emolab.training.sentences.learn_with_encoder:search_space",
    )
}
#: Values of ``training.weights`` that name no folder of an encoder.
_NO_FOLDER = ("default", "none")
_NETWORKS_ONLY = ("champion", "pretrained")


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

    @property
    def expected(self) -> str:
        """What to send to where it is served, in words."""
        ...

    @property
    def thresholds(self) -> NDArray[np.float64]:
        """The probability (k,) from which each class is a label, where :meth:`labels` says the nearest one of none."""
        ...

    @property
    def quality_names(self) -> tuple[str, ...]:
        """What :meth:`quality` measures, in words."""
        ...

    @property
    def temperature(self) -> float | None:
        """The temperature of its probabilities; ``None`` where an earlier emolab learned it and fitted none."""
        ...

    @property
    def conformal(self) -> Mapping[str, Any]:
        """What it states about sets that hold all labels of a sample (:mod:`emolab.inference.uncertainty`)."""
        ...

    @property
    def prior(self) -> NDArray[np.float64] | None:
        """The share (k,) of its training samples that each class had; ``None`` where no temperature was fitted."""
        ...

    def before_temperature(self, probs: NDArray[np.float32]) -> NDArray[np.float32]:
        """What ``probs`` (n, k) would be without the temperature."""
        ...

    def form(self, media: bytes, *, masking: bool) -> bytes:
        """``media`` as it would be kept as a sample, ``masking`` what tells who somebody is.

        Raises :class:`emolab.modalities.problems.Refused`.
        """
        ...

    def answers(self, media: Sequence[bytes | Path]) -> tuple[NDArray[np.float32], dict[int, str]]:
        """Probabilities (n, k) of ``media`` (n), and why some cannot be read, by position; their rows are 0."""
        ...

    def embedded(
        self, media: Sequence[bytes | Path]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], dict[int, str]]:
        """Probabilities (n, k) as in :meth:`answers`, features (n, d) that tell samples apart, and what is unread."""
        ...

    def quality(self, media: Sequence[bytes | Path]) -> NDArray[np.float32]:
        """What is measured (n, q) of each of ``media`` (n), beside what is said of it, in the order of the names."""
        ...

    def unlearned(self, media: Sequence[bytes | Path]) -> NDArray[np.float32]:
        """Features (n, d) in which no label has been learned; 0 for what cannot be read."""
        ...

    def contents(self, media: Sequence[bytes | Path]) -> list[bytes | None]:
        """16 bytes by which each of ``media`` is recognised again; ``None`` for what cannot be read."""
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
        config: TrainingConfig,
        progress: Progress,
    ) -> OwnLearnt:
        """From ``media`` (n) and distributions of votes ``shares`` (n, k), as ``config`` wants it.

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


def own_learner(modality: str, weights: str = "default") -> Learner | None:
    """What learns from samples of ``modality`` by itself; ``None`` where a network is trained.

    ``weights`` is the setting of that name: the folder of an encoder, or ``default`` for none.
    Raises :class:`emolab.errors.ConfigError` for weights that only networks start from, :class:`MissingExtra` without
    what an encoder needs.
    """
    from emolab.errors import ConfigError, MissingExtra

    if modality not in _LEARNERS:
        return None
    if weights in _NETWORKS_ONLY:
        raise ConfigError(
            f"training.weights is {weights}, which is for networks of images and clips.",
            hint="Use default, or the folder of an encoder: --set training.weights=FOLDER",
        )
    plain, with_encoder = _LEARNERS[modality]
    try:
        found: Learner = _function(plain if weights in _NO_FOLDER else with_encoder)
    except ImportError as error:
        raise MissingExtra("PyTorch", "train,text") from error
    return found


def own_space(modality: str, config: TrainingConfig) -> SearchSpace:
    """Which settings of the section training :func:`own_learner`'s find heeds, and what they may be; else empty."""
    if modality not in _SPACES:
        return {}
    plain, with_encoder = _SPACES[modality]
    found: Callable[[TrainingConfig], SearchSpace]
    found = _function(plain if config.weights in _NO_FOLDER else with_encoder)
    return found(config)


def own_features(modality: str) -> Callable[[Sequence[bytes | Path]], NDArray[np.float32]] | None:
    """Features (n, d) of samples (n) of ``modality`` that know no labels; ``None`` where a network makes them."""
    if modality not in _FEATURES:
        return None
    found: Callable[[Sequence[bytes | Path]], NDArray[np.float32]] = _function(_FEATURES[modality])
    return found


def own_model(folder: Path) -> OwnModel | None:
    """The model in ``folder`` where its modality runs it by itself; ``None`` for a network or no model at all.

    Raises :class:`emolab.errors.DataError` for a damaged one, :class:`MissingExtra` without what an encoder needs.
    """
    from emolab.errors import MissingExtra

    found = own_document(folder)
    if found is None:
        return None
    try:
        opener: Callable[[Path], OwnModel] = _function(_OPENERS[_kind(found)])
    except ImportError as error:
        raise MissingExtra("PyTorch", "train,text") from error
    return opener(folder)


def own_document(folder: Path) -> dict[str, Any] | None:
    """The document of the model in ``folder``, unchecked, where its modality runs it by itself; else ``None``."""
    try:
        document = json.loads((folder / DOCUMENT).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None  # what reads networks says it better
    return document if isinstance(document, dict) and _kind(document) in _OPENERS else None


def _kind(document: Mapping[str, Any]) -> tuple[str, str]:
    return str(document.get("modality")), str(document.get("runs", ""))


def _function(name: str) -> Any:
    module, _, function = name.partition(":")
    return getattr(import_module(module), function)
