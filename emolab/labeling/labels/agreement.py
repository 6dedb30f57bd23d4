"""How far annotators agree: Krippendorff's alpha with an interval, and by class and annotator.

Everything here follows from two small tables, so a million samples cost about as much as one pass over the
votes. Counted votes (open datasets) enter as that many people. Where answers hold several labels, sets of labels are
compared (:mod:`.set_agreement`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from emolab.labeling.labels import set_agreement
from emolab.votes.table import answers, counts, several

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emolab.records import VoteTable


@dataclass(frozen=True)
class Alpha:
    """Krippendorff's alpha: 1 perfect, 0 as by chance; NaN where it is undefined.

    ``low`` and ``high`` bound the interval, ``pairable`` is the number of samples with at least two votes.
    """

    value: float
    low: float
    high: float
    pairable: int


@dataclass(frozen=True)
class ClassAgreement:
    """One class: ``votes`` it got, and the chance that another annotator repeats such a vote.

    ``agreement`` is NaN without a second vote. ``confused_with`` is what the other one says most often
    instead, in the share ``confused`` of all cases.
    """

    name: str
    votes: int
    agreement: float
    confused_with: str | None
    confused: float


@dataclass(frozen=True)
class AnnotatorAgreement:
    """One annotator against the others, on the samples somebody else voted on as well (``shared`` of them).

    ``agreement`` is the chance that another one's vote equals this one's, NaN without shared samples.
    ``confusion`` (k, k): rows what the others said (shares add up), columns what this one said. ``habit`` is
    the most frequent disagreement as (others, own, votes).
    """

    name: str
    votes: int
    shared: int
    agreement: float
    confusion: NDArray[np.float64]
    habit: tuple[str, str, float] | None


def alpha(votes: VoteTable, rng: np.random.Generator, *, draws: int = 1000, level: float = 0.95) -> Alpha:
    """Krippendorff's alpha for nominal data with a bootstrap interval over samples.

    Samples with the same counts are interchangeable, so a draw is one multinomial over the distinct rows of
    counts. Hayes & Krippendorff 2007, "Answering the call for a standard reliability measure for coding
    data". Where answers hold several labels, two sets of labels are apart by 1 - MASI (Passonneau 2006).
    """
    table, apart = set_agreement.patterns(votes) if several(votes) else (counts(votes), None)
    table = table[table.sum(axis=1) >= 2]
    if not len(table):
        return Alpha(np.nan, np.nan, np.nan, 0)
    patterns, repeats = _distinct(table)
    value = _alphas(patterns, repeats[None, :].astype(np.float64), apart)[0]
    drawn = rng.multinomial(len(table), repeats / len(table), size=draws)
    sampled = _alphas(patterns, drawn.astype(np.float64), apart)
    sampled = sampled[np.isfinite(sampled)]
    if not np.isfinite(value) or not len(sampled):
        return Alpha(float(value), np.nan, np.nan, len(table))
    low, high = np.quantile(sampled, [(1 - level) / 2, (1 + level) / 2])
    return Alpha(float(value), float(low), float(high), len(table))


def _distinct(table: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The distinct rows of ``table`` (n, k) in order, and how often each occurs."""
    digits = int(table.max()) + 1
    if digits ** table.shape[1] > 2**62 or (table != np.floor(table)).any():
        patterns, repeats = np.unique(table, axis=0, return_counts=True)
        return patterns, repeats
    # A row read as the digits of one number: 900,000 rows take a tenth of the time.
    numbers = table.astype(np.int64) @ digits ** np.arange(table.shape[1] - 1, -1, -1, dtype=np.int64)
    _, first, repeats = np.unique(numbers, return_index=True, return_counts=True)
    return table[first], repeats


def _alphas(
    patterns: NDArray[np.float64], repeats: NDArray[np.float64], apart: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """Alpha for every row of ``repeats`` (draws, p): how often each of the ``patterns`` (p, k) of counts occurs.

    ``apart`` (k, k) says how far two answers are apart, 0..1; ``None``: 1 where they differ.
    """
    people = patterns.sum(axis=1)
    alike = (patterns**2).sum(axis=1) if apart is None else people**2 - ((patterns @ apart) * patterns).sum(axis=1)
    disagreeing = (people**2 - alike) / (people - 1)
    total = repeats @ people
    by_class = repeats @ patterns
    alike = (by_class**2).sum(axis=1) if apart is None else total**2 - ((by_class @ apart) * by_class).sum(axis=1)
    expected = (total**2 - alike) / (total - 1)
    observed = repeats @ disagreeing
    ratio = np.divide(observed, expected, out=np.full(len(repeats), np.nan), where=expected > 0)
    return np.asarray(1 - ratio)


def by_class(votes: VoteTable) -> list[ClassAgreement]:
    """Agreement class by class, in the order of ``votes.classes``.

    Of an answer with several labels each counts: whether the other one names that class too.
    """
    if several(votes):
        return _by_class_of_sets(votes)
    table = counts(votes)
    people = table.sum(axis=1, keepdims=True)
    pairable = table[people[:, 0] >= 2]
    # Coincidences (k, k): pairs of votes of two people about one sample, every vote counted once in all.
    scaled = pairable / np.maximum(pairable.sum(axis=1, keepdims=True) - 1, 1)
    pairs = scaled.T @ pairable - np.diag(scaled.sum(axis=0))
    found = []
    for c, name in enumerate(votes.classes):
        total = pairs[c].sum()
        others = np.where(np.arange(len(votes.classes)) == c, 0.0, pairs[c])
        worst = int(others.argmax())
        confused = float(others[worst] / total) if total > 0 else 0.0
        found.append(
            ClassAgreement(
                name=name,
                votes=int(table[:, c].sum()),
                agreement=float(pairs[c, c] / total) if total > 0 else np.nan,
                confused_with=votes.classes[worst] if confused > 0 else None,
                confused=confused,
            )
        )
    return found


def _by_class_of_sets(votes: VoteTable) -> list[ClassAgreement]:
    named, (same, missed), instead = set_agreement.class_counts(votes)
    found = []
    for c, name in enumerate(votes.classes):
        total, worst = float(same[c] + missed[c]), int(instead[c].argmax())
        confused = float(instead[c, worst] / total) if total > 0 else 0.0
        found.append(
            ClassAgreement(
                name=name,
                votes=int(named[c]),
                agreement=float(same[c] / total) if total > 0 else np.nan,
                confused_with=votes.classes[worst] if confused > 0 else None,
                confused=confused,
            )
        )
    return found


def by_annotator(votes: VoteTable) -> list[AnnotatorAgreement]:
    """Every annotator against the rest of the team (leave one out), in the order of ``votes.annotators``.

    Where answers hold several labels, the agreement is how alike two sets are (MASI), and not the chance of equality.
    """
    if several(votes):
        return [
            _annotator(name, votes.classes, **one)
            for name, one in zip(votes.annotators, set_agreement.people_counts(votes), strict=True)
        ]
    k = len(votes.classes)
    said = answers(votes)
    table = counts(votes)
    people = table.sum(axis=1)
    others = np.where(people >= 2, 1 / np.maximum(people - 1, 1), 0.0)
    # (w, own, others): for every vote the shares of what everybody else said, less the vote itself.
    cells = np.asarray(said.T @ (table * others[:, None])).reshape(-1, k, k)
    cells[:, np.arange(k), np.arange(k)] -= np.asarray(said.T @ others).reshape(-1, k)
    shared = np.asarray(said.T @ (people >= 2).astype(np.float64)).reshape(-1, k).sum(axis=1)
    own = np.asarray(said.sum(axis=0)).reshape(-1, k).sum(axis=1)
    found = []
    for w, name in enumerate(votes.annotators):
        confusion = np.maximum(cells[w].T, 0.0)
        found.append(
            _annotator(
                name,
                votes.classes,
                confusion,
                votes=int(own[w]),
                shared=int(shared[w]),
                alike=float(np.trace(confusion)),
            )
        )
    return found


def _annotator(
    name: str,
    classes: tuple[str, ...],
    confusion: NDArray[np.float64],
    *,
    votes: int,
    shared: int,
    alike: float,
) -> AnnotatorAgreement:
    """One annotator, whose votes were ``alike`` those of others in so many of the ``shared`` ones."""
    off = np.where(np.eye(len(classes), dtype=bool), 0.0, confusion)
    said_by_others, said_here = np.unravel_index(int(off.argmax()), off.shape)
    worst = float(off[said_by_others, said_here])
    return AnnotatorAgreement(
        name=name,
        votes=votes,
        shared=shared,
        agreement=alike / shared if shared > 0 else np.nan,
        confusion=confusion,
        habit=(classes[said_by_others], classes[said_here], worst) if worst > 0 else None,
    )
