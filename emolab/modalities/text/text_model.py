"""A model of sentences: a folder with ``model.json`` and ``weights.npz``, read and run with NumPy and SciPy alone.

``model.json`` says what it is: modality, classes, thresholds, which n-grams are hashed into how many buckets, what was
measured. ``weights.npz`` holds the buckets that count, how rare each is, and a weight for each class. Nothing in it can
run code. The id is the hash of both.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emolab.errors import DataError
from emolab.files import write_bytes, write_text
from emolab.modalities.text.ngrams import NgramConfig, count_ngrams, word_buckets
from emolab.modalities.text.projection import WIDTH, projected
from emolab.modalities.text.sentence import all_sentences
from emolab.modalities.text.sentence_model import MODALITY, SentenceModel
from emolab.modalities.text.text_calibration import CONFORMAL, TEMPERATURE, TextCalibration, read_calibration
from emolab.modalities.text.tfidf import Tfidf

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

FORMAT = "emolab-text-model/2"
#: The format of models without a temperature, which an earlier emolab made.
UNCALIBRATED = "emolab-text-model/1"
DOCUMENT, WEIGHTS = "model.json", "weights.npz"
#: Which n-grams a sentence has and where they are hashed to; a change makes weights of before meaningless.
FEATURES = 1
#: Sentences that are judged at once.
_BATCH = 4096
#: What weights.npz holds, and of which type.
_ARRAYS = {"buckets": "int64", "rarity": "float32", "weight": "float32", "bias": "float32"}


@dataclass(frozen=True, kw_only=True)
class TextModel(SentenceModel):
    """``weight`` (d, k) and ``bias`` (k,) act on the rows of ``tfidf``.

    ``about`` is what else the document says: ``settings``, ``metrics``, ``n``, ``created_at``, ``made_by``.
    """

    classes: tuple[str, ...]
    thresholds: NDArray[np.float64]
    ngrams: NgramConfig
    tfidf: Tfidf
    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    calibration: TextCalibration | None = None
    about: Mapping[str, Any] = field(default_factory=dict)

    def probabilities(self, sentences: Sequence[str]) -> NDArray[np.float32]:
        """The probability (n, k) of each class by itself: a row need not sum to 1."""
        return self._calibrated(self.logits(sentences))

    def logits(self, sentences: Sequence[str]) -> NDArray[np.float32]:
        """The log-odds (n, k) of each class by itself, before the temperature."""
        found = [self._logits(matrix) for matrix in self._matrices(sentences)]
        return np.concatenate([np.zeros((0, len(self.classes)), np.float32), *found])

    def judged(self, sentences: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The probability (n, k) of each class by itself, and features (n, 384) of n-grams (:mod:`.projection`)."""
        probs, found = [np.zeros((0, len(self.classes)), np.float32)], [np.zeros((0, WIDTH), np.float32)]
        for matrix in self._matrices(sentences):
            probs.append(self._calibrated(self._logits(matrix)))
            found.append(projected(matrix, self.tfidf.buckets))
        return np.concatenate(probs), np.concatenate(found)

    def unlearned(self, media: Sequence[bytes | Path]) -> NDArray[np.float32]:
        """Features (n, 384) of n-grams; labels play no part in them. Raises what :func:`all_sentences` raises."""
        matrices = self._matrices(all_sentences(media))
        found = [projected(matrix, self.tfidf.buckets) for matrix in matrices]
        return np.concatenate([np.zeros((0, WIDTH), np.float32), *found])

    def unknown(self, sentences: Sequence[str]) -> NDArray[np.float32]:
        """The share (n,) of the words and signs of each sentence that fewer than two training sentences had."""
        row, bucket = word_buckets(sentences, self.ngrams)
        n = len(sentences)
        strange = np.bincount(row, weights=~self.tfidf.known(bucket), minlength=n)
        found: NDArray[np.float32] = (strange / np.maximum(1, np.bincount(row, minlength=n))).astype(np.float32)
        return found

    def _matrices(self, sentences: Sequence[str]) -> Iterator[csr_matrix]:
        """The rows (<= 4096, d) of the sentences, a part at a time."""
        for begin in range(0, len(sentences), _BATCH):
            yield self.tfidf.matrix(count_ngrams(sentences[begin : begin + _BATCH], self.ngrams))

    def _logits(self, matrix: csr_matrix) -> NDArray[np.float32]:
        return np.asarray(matrix @ self.weight + self.bias, np.float32)

    @cached_property
    def id(self) -> str:
        """The sha256 of document and weights. It is asked for with every answer, and takes a while."""
        return _id(self._document(), self._weights())

    def save(self, folder: Path) -> str:
        """Write the model into ``folder``, which is made; its id. The weights come first: no document, no model."""
        folder.mkdir(parents=True, exist_ok=True)
        weights, document = self._weights(), self._document()
        made = _id(document, weights)
        write_bytes(folder / WEIGHTS, weights)
        write_text(folder / DOCUMENT, json.dumps({"id": made, **document}, indent=1, ensure_ascii=False) + "\n")
        return made

    def _document(self) -> dict[str, Any]:
        return {
            "format": UNCALIBRATED if self.calibration is None else FORMAT,
            "modality": MODALITY,
            "features": FEATURES,
            "classes": list(self.classes),
            "thresholds": [float(value) for value in self.thresholds],
            "ngrams": {"words": [*self.ngrams.words], "letters": [*self.ngrams.letters], "bits": self.ngrams.bits},
            **({} if self.calibration is None else self.calibration.document()),
            **self.about,
        }

    def _weights(self) -> bytes:
        stream = io.BytesIO()
        np.savez_compressed(
            stream, buckets=self.tfidf.buckets, rarity=self.tfidf.rarity, weight=self.weight, bias=self.bias
        )
        return stream.getvalue()


def describe(folder: Path) -> dict[str, Any]:
    """The document of the model in ``folder``, checked, without its weights. Raises :class:`DataError`."""
    file = folder / DOCUMENT
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"There is no model in {folder} (no {DOCUMENT}).") from None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{file} is damaged: {error}.", hint="Train the model again.") from error
    if not isinstance(found, dict) or found.get("format") not in (FORMAT, UNCALIBRATED):
        raise DataError(f"{file} is no model of sentences (expected format {FORMAT}).", hint="Upgrade emolab.")
    if found.get("features") != FEATURES:
        raise DataError(
            f"{folder.name} counts n-grams by version {found.get('features')}; this emolab has {FEATURES}.",
            hint="Train it again, or use the emolab it was trained with.",
        )
    classes, thresholds = found.get("classes"), found.get("thresholds")
    named = isinstance(classes, list) and len(classes) > 0 and all(isinstance(name, str) for name in classes)
    if not named or not isinstance(thresholds, list) or len(thresholds) != len(classes or ()):
        raise DataError(f"{file} is damaged: classes and thresholds do not match.", hint="Train the model again.")
    if not all(isinstance(value, int | float) and 0 <= value <= 1 for value in thresholds):
        raise DataError(f"{file} is damaged: a threshold is not in 0 to 1.", hint="Train the model again.")
    if (found["format"] == FORMAT) != (TEMPERATURE in found):
        raise DataError(f"{file} is damaged: it has a temperature or has none.", hint="Train the model again.")
    return found


def load(folder: Path) -> TextModel:
    """The model in ``folder``. Raises :class:`DataError` for what is missing, damaged or of another release."""
    document = describe(folder)
    file = folder / WEIGHTS
    try:
        data = file.read_bytes()
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in _ARRAYS}
        ngrams = NgramConfig(
            words=_pair(document["ngrams"]["words"]),
            letters=_pair(document["ngrams"]["letters"]),
            bits=int(document["ngrams"]["bits"]),
        )
    except Exception as error:  # a damaged archive raises whatever its first wrong byte leads to
        raise DataError(
            f"{file} is damaged: {type(error).__name__}: {error}.", hint="Train the model again."
        ) from error
    d, k = len(arrays["buckets"]), len(document["classes"])
    shapes = {"buckets": (d,), "rarity": (d,), "weight": (d, k), "bias": (k,)}
    for name, kind in _ARRAYS.items():
        found = arrays[name]
        if found.dtype != kind or found.shape != shapes[name] or not np.isfinite(found).all():
            raise DataError(f"{file} is damaged: {name} is not what it should be.", hint="Train the model again.")
    try:
        calibration = read_calibration(document)
    except ValueError as error:
        raise DataError(f"{folder / DOCUMENT} is damaged: {error}.", hint="Train the model again.") from error
    told = {key: value for key, value in document.items() if key != "id"}
    if document.get("id") != _id(told, data):
        raise DataError(f"{folder} is damaged: its id is not that of what it holds.", hint="Train the model again.")
    own = ("format", "modality", "features", "classes", "thresholds", "ngrams", TEMPERATURE, CONFORMAL)
    return TextModel(
        classes=tuple(document["classes"]),
        thresholds=np.array(document["thresholds"], np.float64),
        ngrams=ngrams,
        tfidf=Tfidf(arrays["buckets"], arrays["rarity"], 1 << (ngrams.bits - 1)),
        weight=arrays["weight"],
        bias=arrays["bias"],
        calibration=calibration,
        about={key: value for key, value in told.items() if key not in own},
    )


def _pair(values: Sequence[int]) -> tuple[int, int]:
    low, high = values
    return int(low), int(high)


def _id(document: Mapping[str, Any], weights: bytes) -> str:
    document = {key: value for key, value in document.items() if key != "created_at"}  # the same model, made again
    text = json.dumps(document, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode() + b"\0" + weights).hexdigest()
