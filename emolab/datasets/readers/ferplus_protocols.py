"""The published protocols of FER+ (Barsoum et al. 2016, arXiv 1608.01041), as pure functions of the votes."""

from __future__ import annotations

from collections.abc import Mapping

#: The ten columns of both tables, in their order; the last two are no emotions.
COLUMNS = (
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
    "unknown",
    "NF",
)


CLASSES = COLUMNS[:8]


def majority(votes: Mapping[str, int]) -> str | None:
    """The emotion that wins by the "majority" protocol of the paper, or ``None`` when the image is dropped.

    Single votes are zeroed as outliers; the winner needs more than half of the votes that remain; images won by
    ``unknown`` or ``NF`` are dropped.

    >>> majority({"anger": 6, "disgust": 3, "NF": 1})
    'anger'
    >>> majority({"anger": 5, "disgust": 5}) is None
    True
    """
    left = _without_single_votes(votes)
    winner = max(left, key=lambda name: left[name], default=None)
    if winner not in CLASSES or 2 * left[winner] <= sum(left.values()):
        return None
    return winner


def crossentropy(votes: Mapping[str, int]) -> dict[str, float] | None:
    """The distribution of the "crossentropy" and "probability" protocols, or ``None`` when the image is dropped.

    After zeroing single votes, the names with the most votes are taken, ties together and in column order, until they
    hold three quarters of the votes, or three names are taken, or ``unknown`` or ``NF`` is reached. The image is
    dropped when those hold half of the votes or less, when ties brought in a fourth name, or when ``unknown`` or
    ``NF`` comes first. Shares sum to 1.
    """
    left = _without_single_votes(votes)
    total = sum(left.values())
    taken: dict[str, int] = {}
    while left and sum(taken.values()) < 0.75 * total and len(taken) < 3:
        most = max(left.values())
        tied = [name for name in COLUMNS if left.get(name) == most]
        emotions = [name for name in tied if name in CLASSES]
        taken.update({name: left.pop(name) for name in emotions})
        if len(emotions) < len(tied):
            break
    kept = sum(taken.values())
    if not taken or kept <= 0.5 * total or len(taken) > 3:
        return None
    return {name: count / kept for name, count in taken.items()}


def _without_single_votes(votes: Mapping[str, int]) -> dict[str, int]:
    return {name: votes[name] for name in COLUMNS if votes.get(name, 0) > 1}
