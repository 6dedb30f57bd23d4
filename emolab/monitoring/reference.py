"""What a model saw: the columns that detectors look at, of a reference or of a window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emolab.errors import DataError
from emolab.stats import multilabel

Floats = NDArray[np.floating[Any]]

#: Samples from which a reference says how much its columns vary.
FEWEST = 100


@dataclass(frozen=True, kw_only=True)
class Observations:
    """What one model saw and said, a row each sample: ``probs`` (n, k), rows sum to 1; ``embeddings`` (n, d), d may be
    0; ``quality`` columns (n,) by name, such as brightness or snr.

    Where samples may have several labels, each probability is that of a class by itself, and ``thresholds`` (k,) say
    from which one on it is a label; they are empty where every sample has one label.

    ``agreement`` (m,) and ``seconds`` (m,) are of annotators and have rows of their own: for each sample they labelled
    the share of its votes that its commonest class got, and for each vote how long it took. Both may be empty.
    """

    classes: tuple[str, ...]
    probs: Floats
    embeddings: Floats
    quality: Mapping[str, Floats] = field(default_factory=dict)
    agreement: Floats = field(default_factory=lambda: np.empty(0))
    seconds: Floats = field(default_factory=lambda: np.empty(0))
    thresholds: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        n, k = self.probs.shape
        wrong = [name for name, column in self.quality.items() if column.shape != (n,)]
        if len(self.embeddings) != n or k != len(self.classes) or wrong:
            shapes = f"probs {self.probs.shape}, embeddings {self.embeddings.shape}, {len(self.classes)} classes"
            raise DataError(f"Columns of different lengths: {shapes}{''.join(', ' + name for name in wrong)}.")
        if len(self.thresholds) not in (0, k):
            raise DataError(f"{len(self.thresholds):,} thresholds for {k:,} classes.")
        columns = {"probs": self.probs, "embeddings": self.embeddings, **self.quality}
        columns |= {"agreement": self.agreement, "seconds": self.seconds}
        for name, column in columns.items():
            if not np.isfinite(column).all():
                raise DataError(f"The column {name} holds values that are no numbers.", hint="Leave those samples out.")

    def __len__(self) -> int:
        return len(self.probs)

    def answers(self) -> NDArray[np.bool_]:
        """Which classes (n, k) the model said of each sample: the likeliest one, or all labels of several."""
        if self.thresholds:
            return multilabel.labels(self.probs, np.array(self.thresholds))
        likeliest: NDArray[np.bool_] = self.probs.argmax(axis=1)[:, None] == np.arange(len(self.classes))[None, :]
        return likeliest

    def rows(self, chosen: NDArray[np.int64] | slice) -> Observations:
        """Those samples alone; the annotators' columns stay whole."""
        return Observations(
            classes=self.classes,
            probs=self.probs[chosen],
            embeddings=self.embeddings[chosen],
            quality={name: column[chosen] for name, column in self.quality.items()},
            agreement=self.agreement,
            seconds=self.seconds,
            thresholds=self.thresholds,
        )


def joined(parts: Sequence[Observations]) -> Observations:
    """All of ``parts``, in order. Raises :class:`DataError` where they are not of the same columns."""
    first = parts[0]
    for part in parts[1:]:
        if not alike(first, part):
            raise DataError("These observations are not of the same model: other classes or columns.")
    return Observations(
        classes=first.classes,
        probs=np.concatenate([part.probs for part in parts]),
        embeddings=np.concatenate([part.embeddings for part in parts]),
        quality={name: np.concatenate([part.quality[name] for part in parts]) for name in first.quality},
        agreement=np.concatenate([part.agreement for part in parts]),
        seconds=np.concatenate([part.seconds for part in parts]),
        thresholds=first.thresholds,
    )


def alike(one: Observations, other: Observations) -> bool:
    """Whether both have the same classes, in the same order, the same thresholds, and the same columns."""
    return (
        one.classes == other.classes
        and one.thresholds == other.thresholds
        and set(one.quality) == set(other.quality)
        and one.embeddings.shape[1] == other.embeddings.shape[1]
    )


def check_reference(reference: Observations) -> None:
    """Raise :class:`DataError` for a reference too small to say how much its columns vary."""
    if len(reference) < FEWEST:
        raise DataError(
            f"The reference has {len(reference):,} samples; it needs {FEWEST} or more.",
            hint="Take a longer period, or judge more samples.",
        )
