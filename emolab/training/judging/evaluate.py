"""Judging a model on images with known answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emolab.errors import DataError
from emolab.inference import uncertainty
from emolab.progress import SILENT, Progress
from emolab.stats import metrics
from emolab.training.learned import ancestry, fingerprints
from emolab.training.learned.learned_images import Learned
from emolab.training.predict import Predictor, predict_media


def evaluate(
    predictor: Predictor,
    media: Sequence[bytes | Path | Callable[[], bytes]],
    truth: NDArray[np.integer[Any]],
    *,
    names: Sequence[str] | None = None,
    supported: NDArray[np.bool_] | None = None,
    protocol: str,
    record: Learned,
    tables: Sequence[NDArray[np.uint8]] | None = None,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Metrics of ``predictor`` on n images whose true class is ``truth`` (n,), ready for JSON.

    ``supported``, (k,) or (n, k), says which classes can occur; the others are left out of the probabilities. Images
    that cannot be read are counted under ``unreadable`` and are not part of ``n``. ``record`` is what the model has
    learned from: how many of the images are in it, and the figures without them, stand under ``learned``. ``tables``
    (n) are those of the speakers, for a model that is normalised by them (:func:`predict_media`). Raises
    :class:`DataError` when nothing can be judged.
    """
    titles = list(names) if names is not None else [str(i) for i in range(len(media))]
    named = list(zip(titles, media, strict=True))
    answers = list(predict_media(predictor, named, tables=tables, progress=progress))
    read = np.array([answer.probs is not None for answer in answers], dtype=bool)
    if not read.any():
        first = next((answer.error for answer in answers if answer.error), "the set is empty")
        raise DataError(f"There is nothing to judge the model on: {first}.")
    probs = np.stack([answer.probs for answer in answers if answer.probs is not None])
    if supported is not None:
        mask = np.broadcast_to(supported, (len(answers), probs.shape[1]))[read]
        probs = np.where(mask, probs, 0.0)
        totals = probs.sum(axis=1, keepdims=True)
        probs = np.where(totals > 0, probs / np.maximum(totals, 1e-30), mask / mask.sum(axis=1, keepdims=True))
    classes, answer_of = predictor.checkpoint.classes, np.asarray(truth)[read]
    found = metrics.summary(probs, answer_of, classes)
    known = np.zeros(int(read.sum()), dtype=bool)
    if record.layers:
        known = record.has(fingerprints.of_media(media, progress=progress))[read]
    return {
        "model": predictor.checkpoint.id,
        "protocol": protocol,
        "flips": predictor.checkpoint.flips,
        "normalised_by": predictor.checkpoint.preprocessing.normalised_by,
        **found,
        "conformal": uncertainty.check(predictor.checkpoint.conformal, probs, answer_of),
        "learned": ancestry.marked(record, known, probs, answer_of, classes),
        "unreadable": int((~read).sum()),
        "errors": [f"{answer.name}: {answer.error}" for answer in answers if answer.error][:20],
    }
