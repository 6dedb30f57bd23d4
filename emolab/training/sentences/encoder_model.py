"""A model of sentences with an encoder: a folder of JSON and safetensors, complete in itself.

``model.json`` says what it is. ``encoder/`` holds the encoder, ``head.safetensors`` the head on its features, and
``ngrams/`` the model of n-grams that it is asked together with. The log-odds of both are added, each by its share.
Nothing in it can run code. The id is the hash of the document, which names the hash of every file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays
from safetensors.torch import save as save_tensors

from emolab.errors import DataError
from emolab.files import write_bytes, write_text
from emolab.modalities.text import text_model
from emolab.modalities.text.sentence_model import MODALITY, SentenceModel
from emolab.modalities.text.text_calibration import CONFORMAL, TEMPERATURE, TextCalibration, read_calibration
from emolab.modalities.text.text_model import DOCUMENT, TextModel
from emolab.training.sentences.encoder import CONFIG, TOKENS, WEIGHTS, Encoder, read_encoder

FORMAT = "emolab-encoder-model/2"
#: The format of models without a temperature, which an earlier emolab made.
UNCALIBRATED = "emolab-encoder-model/1"
ENCODER, HEAD, NGRAMS = "encoder", "head.safetensors", "ngrams"


@dataclass(frozen=True, kw_only=True, eq=False)
class EncoderModel(SentenceModel):
    """``weight`` (d, k) and ``bias`` (k,) act on features of ``encoder``.

    ``share`` is what the encoder's log-odds count, the rest is that of ``ngrams`` before its own temperature:
    ``calibration`` is that of both together. ``source`` is the folder that the encoder's configuration and tokens are
    copied from. ``about`` is what else the document says.
    """

    classes: tuple[str, ...]
    thresholds: NDArray[np.float64]
    encoder: Encoder
    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    ngrams: TextModel
    share: float
    source: Path
    calibration: TextCalibration | None = None
    about: Mapping[str, Any] = field(default_factory=dict)

    def judged(self, sentences: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The probability (n, k) of each class by itself, and the encoder's features (n, d)."""
        found = self.encoder.features(sentences)
        logits = mixed(found @ self.weight + self.bias, self.ngrams.logits(sentences), self.share)
        return self._calibrated(logits), found

    def probabilities(self, sentences: Sequence[str]) -> NDArray[np.float32]:
        """The probability (n, k) of each class by itself: a row need not sum to 1."""
        return self.judged(sentences)[0]

    def unlearned(self, media: Sequence[bytes | Path]) -> NDArray[np.float32]:
        """Features (n, d) of n-grams; a fine-tuned encoder knows the labels, they do not."""
        return self.ngrams.unlearned(media)

    def unknown(self, sentences: Sequence[str]) -> NDArray[np.float32]:
        """The share (n,) of words and signs of each sentence that its n-grams do not know."""
        return self.ngrams.unknown(sentences)

    @cached_property
    def id(self) -> str:
        """The sha256 of the document. It is asked for with every answer, and takes a while."""
        return _id(self._document(self._files()))

    def save(self, folder: Path) -> str:
        """Write the model into ``folder``, which is made; its id. The document comes last: no document, no model."""
        files = self._files()
        for name, data in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            write_bytes(folder / name, data)
        self.ngrams.save(folder / NGRAMS)
        document = self._document(files)
        made = _id(document)
        write_text(folder / DOCUMENT, json.dumps({"id": made, **document}, indent=1, ensure_ascii=False) + "\n")
        return made

    def _files(self) -> dict[str, bytes]:
        tensors = {name: value.detach().cpu().contiguous() for name, value in self.encoder.network.state_dict().items()}
        return {
            f"{ENCODER}/{CONFIG}": (self.source / CONFIG).read_bytes(),
            f"{ENCODER}/{TOKENS}": (self.source / TOKENS).read_bytes(),
            f"{ENCODER}/{WEIGHTS}": save_tensors(tensors, {"format": "pt"}),
            HEAD: save_arrays({"weight": self.weight, "bias": self.bias}),
        }

    def _document(self, files: Mapping[str, bytes]) -> dict[str, Any]:
        return {
            "format": UNCALIBRATED if self.calibration is None else FORMAT,
            "modality": MODALITY,
            "runs": "encoder",
            "classes": list(self.classes),
            "thresholds": [float(value) for value in self.thresholds],
            "share": self.share,
            "ngrams": self.ngrams.id,
            "files": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
            **({} if self.calibration is None else self.calibration.document()),
            **self.about,
        }


def mixed(encoder: NDArray[np.float32], ngrams: NDArray[np.float32], share: float) -> NDArray[np.float32]:
    """The log-odds (n, k) of both, the encoder's by its ``share``."""
    found: NDArray[np.float32] = np.float32(share) * encoder + np.float32(1 - share) * ngrams
    return found


def load(folder: Path) -> EncoderModel:
    """The model in ``folder``. Raises :class:`DataError` for what is missing, damaged or of another release."""
    document = _checked(folder)
    for name, wanted in document["files"].items():
        if _hash(folder / name) != wanted:
            raise DataError(f"{folder / name} is damaged: it is not what was written.", hint="Train the model again.")
    ngrams = text_model.load(folder / NGRAMS)
    if ngrams.id != document["ngrams"] or ngrams.classes != tuple(document["classes"]):
        raise DataError(f"{folder / NGRAMS} belongs to another model.", hint="Train the model again.")
    try:
        calibration = read_calibration(document)
    except ValueError as error:
        raise DataError(f"{folder / DOCUMENT} is damaged: {error}.", hint="Train the model again.") from error
    try:
        arrays = load_arrays((folder / HEAD).read_bytes())
        weight, bias = arrays["weight"], arrays["bias"]
    except (OSError, KeyError, SafetensorError) as error:
        raise DataError(f"{folder / HEAD} is damaged: {error}.", hint="Train the model again.") from error
    encoder = read_encoder(folder / ENCODER)
    if weight.shape != (encoder.width, len(document["classes"])) or bias.shape != weight.shape[1:]:
        raise DataError(f"{folder / HEAD} does not fit the encoder.", hint="Train the model again.")
    own = ("id", "format", "modality", "runs", "classes", "thresholds", "share", "ngrams", "files")
    return EncoderModel(
        classes=tuple(document["classes"]),
        thresholds=np.array(document["thresholds"], np.float64),
        encoder=encoder,
        weight=weight,
        bias=bias,
        ngrams=ngrams,
        share=float(document["share"]),
        source=folder / ENCODER,
        calibration=calibration,
        about={key: value for key, value in document.items() if key not in (*own, TEMPERATURE, CONFORMAL)},
    )


def _checked(folder: Path) -> dict[str, Any]:
    """The document, whose id is that of what it says."""
    file = folder / DOCUMENT
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        told = {key: value for key, value in found.items() if key != "id"}
        known = found["format"] == (FORMAT if TEMPERATURE in found else UNCALIBRATED)
        whole = known and found["id"] == _id(told) and set(found["files"]) == _NAMES
    except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{file} is damaged: {error}.", hint="Train the model again.") from error
    if not whole:
        raise DataError(
            f"{file} is damaged, or of another release (expected format {FORMAT}).", hint="Train the model again."
        )
    return dict(found)


_NAMES = {HEAD, *(f"{ENCODER}/{name}" for name in (CONFIG, TOKENS, WEIGHTS))}


def _hash(file: Path) -> str | None:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return None


def _id(document: Mapping[str, Any]) -> str:
    told = {key: value for key, value in document.items() if key != "created_at"}  # the same model, made again
    return hashlib.sha256(json.dumps(told, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
