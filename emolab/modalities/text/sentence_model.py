"""What every model of sentences does in the same way, however it judges them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emolab.modalities.text.sentence import content, read_sentence, read_sentences, store_form
from emolab.modalities.text.sentence_quality import QUALITY, measured
from emolab.modalities.text.text_calibration import TextCalibration
from emolab.stats import multilabel
from emolab.stats.sparse_logistic import sigmoid

MODALITY = "text"
#: What to send where a model of sentences answers.
EXPECTED = 'Send a sentence: {"text": "..."}'


class SentenceModel(ABC):
    """A model of ``classes`` (k), each said by itself from its threshold on; ``thresholds`` (k,) lie in 0..1.

    They are on the probabilities that it says, which ``calibration`` makes; ``None`` where an earlier emolab learned it
    and fitted no temperature.
    """

    classes: tuple[str, ...]
    thresholds: NDArray[np.float64]
    calibration: TextCalibration | None

    @abstractmethod
    def probabilities(self, sentences: Sequence[str]) -> NDArray[np.float32]:
        """The probability (n, k) of each class by itself: a row need not sum to 1."""

    @abstractmethod
    def judged(self, sentences: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The probability (n, k) of each class by itself, and features (n, d) by which sentences are compared."""

    @abstractmethod
    def unlearned(self, media: Sequence[bytes | Path]) -> NDArray[np.float32]:
        """Features (n, d) of sentences in UTF-8 (n) in which labels played no part.

        Raises :class:`emolab.errors.DataError` where one cannot be read.
        """

    @abstractmethod
    def unknown(self, sentences: Sequence[str]) -> NDArray[np.float32]:
        """The share (n,) of the words and signs of each sentence that fewer than two training sentences had."""

    @property
    def quality_names(self) -> tuple[str, ...]:
        """What :meth:`quality` measures (:data:`.sentence_quality.QUALITY`)."""
        return QUALITY

    def quality(self, media: Sequence[bytes | Path]) -> NDArray[np.float32]:
        """What is measured of sentences in UTF-8, (n, 5); one that cannot be read is measured as an empty one."""
        sentences, _ = read_sentences(media)
        return measured(sentences, self.unknown(sentences))

    @property
    def temperature(self) -> float | None:
        """The temperature of its probabilities; ``None`` where none was fitted."""
        return None if self.calibration is None else self.calibration.temperature.value

    @property
    def conformal(self) -> Mapping[str, Any]:
        """What it states about sets of classes (:mod:`emolab.inference.uncertainty`); empty where it states nothing."""
        return {} if self.calibration is None else self.calibration.conformal

    @property
    def prior(self) -> NDArray[np.float64] | None:
        """The share (k,) of its training sentences that each class had; ``None`` where no temperature was fitted."""
        return None if self.calibration is None else self.calibration.temperature.shares

    def before_temperature(self, probs: NDArray[np.float32]) -> NDArray[np.float32]:
        """What ``probs`` (n, k) would be without the temperature."""
        return probs if self.calibration is None else self.calibration.temperature.undone(probs)

    def _calibrated(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """The probabilities (n, k) that ``logits`` (n, k) make."""
        return sigmoid(logits) if self.calibration is None else self.calibration.temperature.probabilities(logits)

    def answers(self, media: Sequence[bytes | Path]) -> tuple[NDArray[np.float32], dict[int, str]]:
        """Probabilities (n, k) of sentences in UTF-8 (n), and why some cannot be read by position; their rows are 0."""
        sentences, errors = read_sentences(media)
        probs = self.probabilities(sentences)
        probs[list(errors)] = 0
        return probs, errors

    def embedded(
        self, media: Sequence[bytes | Path]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], dict[int, str]]:
        """Probabilities (n, k), features (n, d), and why some cannot be read by position; their probabilities are 0."""
        sentences, errors = read_sentences(media)
        probs, features = self.judged(sentences)
        probs[list(errors)] = 0
        return probs, features, errors

    @property
    def expected(self) -> str:
        """A sentence, as JSON."""
        return EXPECTED

    @property
    def modality(self) -> str:
        """``text``."""
        return MODALITY

    def form(self, media: bytes, *, masking: bool) -> bytes:
        """The sentence in ``media`` as it would be kept."""
        return store_form(read_sentence(media), masking=masking).data

    def contents(self, media: Sequence[bytes | Path]) -> list[bytes | None]:
        """16 bytes by which each sentence is recognised again, see :func:`content`; ``None``: not readable."""
        sentences, errors = read_sentences(media)
        return [None if i in errors else content(text) for i, text in enumerate(sentences)]

    def caption(self, media: bytes) -> str:
        """The sentence itself."""
        return read_sentence(media)

    def labels(self, probs: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
        """Which classes (n, k) ``probs`` (n, k) say: those above their thresholds, the nearest where none is."""
        return multilabel.labels(probs, self.thresholds)
