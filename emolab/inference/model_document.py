"""What a model says about itself: the document beside its weights, read without PyTorch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from emolab.errors import DataError
from emolab.modalities.preparing import NONE, NORMALISED, VERSION, VERSIONS, Preprocessing

FORMAT = "emolab-model/1"
DOCUMENT = "model.json"
#: What stands under each key of the document.
KINDS: Mapping[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("id", "backbone", "color", "snapshot", "created_at"), str),
    **dict.fromkeys(("classes", "mean", "std", "history"), tuple),
    **dict.fromkeys(("plan", "metrics", "made_by", "about"), dict),
    **dict.fromkeys(("size", "decoder"), int),
    "temperature": (int, float),
    "flips": bool,
}
#: What documents of earlier versions may lack.
OPTIONAL = {"parent", "metrics", "history", "made_by", "about", "flips", "other_temperature"}


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """What a model is, besides its weights.

    ``classes`` are in the order of its outputs; a sample becomes the array of ``Preprocessing(size, color)`` and is
    normalised by ``mean`` and ``std`` (of 0..1); probabilities are ``softmax(logits / temperature)``. With ``flips``
    the logits are the mean over the image and its mirror image; ``other_temperature`` is the one for the other way of
    judging, ``None`` where it was never fitted. ``plan`` holds every number of the run, ``snapshot`` the hash of its
    data, ``metrics`` what was measured on the validation samples, ``about`` what a card says of purpose, data and
    start (:mod:`emolab.training.runs.model_origin`; empty for models of an earlier emolab).
    """

    id: str
    classes: tuple[str, ...]
    backbone: str
    size: int
    color: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    temperature: float
    plan: Mapping[str, Any]
    snapshot: str
    created_at: str
    parent: str | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    history: tuple[Mapping[str, Any], ...] = ()
    decoder: int = VERSION
    flips: bool = False
    other_temperature: float | None = None
    about: Mapping[str, Any] = field(default_factory=dict)
    made_by: Mapping[str, str] = field(default_factory=dict)

    @property
    def preprocessing(self) -> Preprocessing:
        """How images are prepared for this model: in full, whatever ``decoder`` its training images came from."""
        return Preprocessing(self.size, self.color, normalise=self.plan.get("normalise", NONE))

    @property
    def conformal(self) -> Mapping[str, Any]:
        """What the model states about sets of classes, for its own way of judging; empty where it was never fitted."""
        found: Mapping[str, Any] = self.metrics.get("conformal", {}).get("on" if self.flips else "off", {})
        return found

    def with_flips(self, wanted: bool) -> Checkpoint:
        """The same model, judging images with or without their mirror images, each with its own temperature.

        Raises :class:`DataError` for a model whose temperature was fitted for the other way alone.
        """
        if wanted == self.flips:
            return self
        if self.other_temperature is None:
            raise DataError(
                f"Model {self.id[:12]} was calibrated {'with' if self.flips else 'without'} mirror images only.",
                hint="Train it again with this emolab; models of training.mode = head judge images alone.",
            )
        return replace(self, flips=wanted, temperature=self.other_temperature, other_temperature=self.temperature)


def describe(folder: Path) -> Checkpoint:
    """The document of the model in ``folder``, without its weights."""
    file = folder / DOCUMENT
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"There is no model in {folder} (no {DOCUMENT}).") from None
    except (OSError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{file} is damaged: {error}.", hint="Train the model again.") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise DataError(f"{file} is not a model this emolab knows (expected format {FORMAT}).", hint="Upgrade emolab.")
    known = {f.name for f in fields(Checkpoint)}
    values: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in found.items() if key in known}
    missing = known - values.keys() - OPTIONAL
    if missing:
        raise DataError(f"{file} lacks {', '.join(sorted(missing))}.", hint="Train the model again.")
    odd = [key for key, kind in KINDS.items() if key in values and not isinstance(values[key], kind)]
    if odd:
        raise DataError(f"{file} is damaged: {', '.join(odd)} is of the wrong kind.", hint="Train the model again.")
    checkpoint = Checkpoint(**values)
    if checkpoint.decoder not in VERSIONS:
        raise DataError(
            f"{folder.name} was trained on images decoded by version {checkpoint.decoder}; this emolab has "
            f"{', '.join(map(str, VERSIONS))}.",
            hint="Train it again, or use the emolab it was trained with.",
        )
    if checkpoint.plan.get("normalise", NONE) not in NORMALISED:
        raise DataError(
            f"{folder.name} is normalised by {checkpoint.plan['normalise']}, which this emolab does not know.",
            hint="Use the emolab it was trained with.",
        )
    return checkpoint
