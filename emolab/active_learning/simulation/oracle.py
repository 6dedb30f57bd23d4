"""The people a simulated campaign asks: every answer they would give, dealt before the first question.

The answers of a sample lie in a deck, in the order in which they would come. A campaign turns over as many as it pays
for, so two campaigns with the same seed hear the same first answer, the same second one, and so on, whatever
they ask about and in which order: their noise is paired.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from emolab.errors import DataError, UnknownName

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Counts = NDArray[np.integer]

#: An answer that names no class: a skip, "unknown", "not a face". It costs what every answer costs.
NOTHING = -1
#: In the table of what known people say: this person gives no answer.
ABSENT = -2
#: How answers come about, in words.
ORACLES = {
    "counted": "the people who voted, one after the other, nobody twice",
    "shares": "drawn again and again from the shares of the votes",
    "team": "twelve simulated annotators, each with a confusion matrix of their own",
    "people": "the people who answered, each known by name, one after the other, nobody twice",
}
#: Simulated annotators, the share of wrong answers of a middling one, and how unequal they are (beta distribution).
TEAM, ERROR, ALIKE = 12, 0.2, 8.0


@dataclass(frozen=True)
class Deck:
    """Answers to n samples: ``label`` (n, most) class numbers or ``NOTHING``; ``annotator`` (n, most) who gives them.

    Annotator -1 is the crowd: people nobody can tell apart.
    """

    label: NDArray[np.int16]
    annotator: NDArray[np.int16]


def deal(
    votes: Counts,
    skips: Counts,
    *,
    most: int,
    oracle: str,
    rng: np.random.Generator,
    said: NDArray[np.int16] | None = None,
) -> Deck:
    """The first ``most`` answers to each of n samples, from ``votes`` (n, k) people per class and ``skips`` (n,).

    ``said`` (n, p) is what known people say, as in :class:`CampaignData`. Raises what :func:`possible` raises.
    """
    possible(votes, skips, most=most, oracle=oracle, said=said)
    if oracle == "people" and said is not None:
        return _people(said, most, rng)
    table = np.column_stack([votes, skips]).astype(np.int64)
    if oracle == "counted":
        label, annotator = _counted(table, most, rng), np.full((len(table), most), -1, dtype=np.int16)
    elif oracle == "shares":
        label, annotator = _shares(table, most, rng), np.full((len(table), most), -1, dtype=np.int16)
    else:
        label, annotator = _team(np.asarray(votes).argmax(axis=1), votes.shape[1], most, rng)
    return Deck(np.where(label == votes.shape[1], NOTHING, label).astype(np.int16), annotator)


def possible(votes: Counts, skips: Counts, *, most: int, oracle: str, said: NDArray[np.int16] | None = None) -> None:
    """Raise :class:`UnknownName` for an unknown ``oracle``, :class:`DataError` when ``most`` answers cannot be had."""
    if oracle not in ORACLES:
        raise UnknownName("oracle", oracle, ORACLES)
    people = votes.sum(axis=1) + skips
    if not people.all():
        raise DataError(f"{int((people == 0).sum())} of {len(people)} samples have no vote to draw from.")
    if oracle == "counted" and people.min() < most:
        few = int((people < most).sum())
        raise DataError(
            f"Up to {most} votes per sample are asked for, but {few:,} of {len(people):,} samples have fewer.",
            hint="Ask for fewer with --votes, or draw from the shares of the votes: --oracle shares",
        )
    if oracle == "people":
        if said is None:
            raise DataError(
                "The data set does not tell who gave which vote.", hint="Choose who answers: --oracle counted"
            )
        fewest = int((said != ABSENT).sum(axis=1).min(initial=most))
        if fewest < most:
            raise DataError(
                f"Up to {most} votes per sample are asked for, but on some only {fewest} people give an answer.",
                hint="Ask for fewer with --votes.",
            )
    if oracle == "team" and most > TEAM:
        raise DataError(
            f"Up to {most} votes per sample are asked for, but the simulated team has {TEAM} members.",
            hint="Ask for fewer with --votes.",
        )


def _counted(table: NDArray[np.int64], most: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """All votes of each sample shuffled, the first ``most`` of them."""
    n, width = table.shape
    label = np.repeat(np.tile(np.arange(width), n), table.ravel())
    row = np.repeat(np.arange(n), table.sum(axis=1))
    order = np.lexsort((rng.random(len(row)), row))
    first = np.concatenate([[0], np.cumsum(table.sum(axis=1))[:-1]])
    shuffled: NDArray[np.int64] = label[order]
    return shuffled[first[:, None] + np.arange(most)]


def _people(said: NDArray[np.int16], most: int, rng: np.random.Generator) -> Deck:
    """The answers of each sample in an order of its own; who gives none is passed over."""
    ticket = np.where(said == ABSENT, np.inf, rng.random(said.shape))
    person = np.argsort(ticket, axis=1)[:, :most]
    return Deck(np.take_along_axis(said, person, axis=1).astype(np.int16), person.astype(np.int16))


def _shares(table: NDArray[np.int64], most: int, rng: np.random.Generator) -> NDArray[np.int64]:
    edges = np.cumsum(table / table.sum(axis=1, keepdims=True), axis=1)
    draws = rng.random((len(table), most))
    found: NDArray[np.int64] = (draws[:, :, None] >= edges[:, None, :-1]).sum(axis=2)
    return found


def _team(
    truth: NDArray[np.int64], k: int, most: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int16]]:
    """Answers of people who take each class for others at rates of their own; each sample meets each at most once."""
    wrong = rng.beta(ERROR * ALIKE, (1 - ERROR) * ALIKE, TEAM)
    confusion = np.zeros((TEAM, k, k))
    for member in range(TEAM):
        for c in range(k):
            others = np.flatnonzero(np.arange(k) != c)
            confusion[member, c, others] = wrong[member] * rng.dirichlet(np.full(k - 1, 0.5))
            confusion[member, c, c] = 1 - wrong[member]
    person = np.argsort(rng.random((len(truth), TEAM)), axis=1)[:, :most]
    edges = np.cumsum(confusion, axis=2)[person, truth[:, None]]
    draws = rng.random((len(truth), most))
    return (draws[:, :, None] >= edges[:, :, :-1]).sum(axis=2), person.astype(np.int16)
