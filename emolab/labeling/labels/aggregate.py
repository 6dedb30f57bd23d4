"""From the ledger of votes to a versioned set of labels."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from emolab.catalog import labels as catalog_labels
from emolab.catalog import ledger_mark, tallies
from emolab.catalog.campaign import guesses
from emolab.catalog.ledger_mark import LedgerMark
from emolab.errors import DataError
from emolab.labeling.labels import anchored_votes, label_recipe
from emolab.labeling.labels.aggregators import DEFAULTS, AggregatorOptions
from emolab.labeling.labels.label_recipe import LabelRecipe
from emolab.plugins import AGGREGATORS
from emolab.records import GuessedAnswer, LabelSet, VoteTable
from emolab.votes.perspectives import PERCEIVED
from emolab.votes.table import counts, one_each, several, whole, with_votes

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sqlalchemy import Connection

    from emolab.workspace import Workspace


@dataclass(frozen=True)
class Aggregation:
    """A set of labels, how it was made, and what did not get into it.

    ``new`` tells whether it replaced another version; ``too_few`` samples have votes, but fewer than wanted;
    ``set_aside`` ones were called unlabelable by at least half of the people; ``ties`` have no single most
    voted class. ``several`` (k,), where answers hold several labels: of how many samples each class is a label.
    """

    labels: LabelSet
    recipe: LabelRecipe
    new: bool
    votes: int
    annotators: int
    too_few: int
    set_aside: int
    ties: int
    several: NDArray[np.int64] | None = None


class NoLabels(DataError):
    """There is not a single sample with enough votes."""


@dataclass(frozen=True)
class Ballots:
    """What labels are made of: the ``votes`` that count, the ids set ``aside`` as unlabelable, where the ledger was.

    ``guessed`` are the answers of which it is known which guess was shown or hidden.
    """

    votes: VoteTable
    aside: frozenset[str]
    mark: LedgerMark
    guessed: Sequence[GuessedAnswer] = ()


def aggregate(workspace: Workspace, *, method: str | None = None, min_votes: int | None = None) -> Aggregation:
    """Compute the labels from all active votes, store them as the current ones, and return them with a summary.

    Method and minimum default to the workspace's settings, whatever the labels were made by before; to go on with how
    they were made there is :func:`emolab.labeling.labels.current_labels.current_labels`. Running it again without new
    votes changes nothing. Raises :class:`DataError` when there is no sample with enough votes, :class:`UnknownName` for
    an unknown method.
    """
    recipe = label_recipe.configured(workspace.config.labeling)
    recipe = replace(
        recipe,
        method=method or recipe.method,
        min_votes=recipe.min_votes if min_votes is None else min_votes,
    )
    with workspace.catalog() as catalog:
        with catalog.connect() as conn:
            found = ballots(conn, workspace.config.project.classes, recipe.perspective)
        labels = labels_of(found, recipe)
        if not labels.samples:
            raise no_labels(found, recipe.min_votes)
        with catalog.begin() as tx:
            new = catalog_labels.write(tx, labels, found.mark)
    table = counts(found.votes)
    kept = {sample: row for row, sample in enumerate(found.votes.samples)}
    inside = table[[kept[sample] for sample in labels.samples]]
    return Aggregation(
        labels=labels,
        recipe=recipe,
        new=new,
        votes=int(whole(inside.sum())),
        annotators=len(found.votes.annotators),
        too_few=len(found.votes.samples) - len(labels.samples) - len(found.aside & kept.keys()),
        set_aside=len(found.aside),
        ties=int(((inside == inside.max(axis=1, keepdims=True)).sum(axis=1) > 1).sum()),
        several=_several(labels) if several(found.votes) else None,
    )


def _several(labels: LabelSet) -> NDArray[np.int64]:
    """Of how many samples each class (k,) is a label, by the rule that models of several labels learn by."""
    from emolab.modalities.text.learn import ALSO, targets_of

    found: NDArray[np.int64] = (targets_of(labels.probs) >= ALSO).sum(axis=0)
    return found


def ballots(conn: Connection, classes: Sequence[str], perspective: str = PERCEIVED) -> Ballots:
    """All that labels of these classes are made of: where a sample has votes of ``perspective`` those alone."""
    mark = ledger_mark.mark(conn)
    votes = tallies.table(conn, classes, prefer=perspective)
    return Ballots(votes, unlabelable(votes, tallies.meta_counts(conn)), mark, guesses.answers(conn))


def labels_of(found: Ballots, recipe: LabelRecipe) -> LabelSet:
    """The labels that ``recipe`` makes, possibly none."""
    return label_set(
        found.votes,
        method=recipe.method,
        min_votes=recipe.min_votes,
        options=recipe.options,
        without=found.aside,
        anchoring=recipe.anchoring,
        weights=_weights(found, recipe),
    )


def no_labels(found: Ballots, min_votes: int) -> NoLabels:
    """Why there are no labels, and what to do about it."""
    voted = len(found.votes.samples)
    if not voted:
        return NoLabels("There are no votes for any class yet.", hint='Run "emolab label pull".')
    return NoLabels(
        f"No sample has {max(min_votes, 1)} or more votes for a class ({voted} have fewer).",
        hint='Run "emolab label pull", or "emolab label aggregate --min-votes 1".',
    )


def label_set(
    votes: VoteTable,
    *,
    method: str,
    min_votes: int = 1,
    options: AggregatorOptions = DEFAULTS,
    without: Collection[str] = (),
    anchoring: str = anchored_votes.IGNORE,
    weights: NDArray[np.float32] | None = None,
) -> LabelSet:
    """The labels that ``method`` makes of ``votes``: a pure function, named by a hash of everything it depends on.

    All votes teach the method about the annotators; samples with fewer than ``min_votes`` people and the ids in
    ``without`` get no label. On a tie the hard class is the first in the order of the classes. ``weights`` (m,) are
    what the method is to take the votes for, by ``anchoring``; people are counted without them.
    """
    votes = with_votes(votes, 1)
    check_method(votes, method)
    aggregator, probs = AGGREGATORS.load(method), np.empty((0, len(votes.classes)), dtype=np.float32)
    if votes.samples:
        weighed = votes if weights is None else replace(votes, weight=weights)
        probs = np.asarray(aggregator(weighed, options), dtype=np.float32)
    _check(probs, method, (len(votes.samples), len(votes.classes)))
    table = counts(votes)
    people = whole(table.sum(axis=1))
    without = frozenset(without)
    rows = np.flatnonzero((people >= min_votes) & np.array([s not in without for s in votes.samples], dtype=bool))
    hard = probs[rows].argmax(axis=1) if len(rows) else np.empty(0, dtype=np.int64)
    settings = LabelRecipe(method=method, min_votes=min_votes, options=options, anchoring=anchoring).settings()
    return LabelSet(
        version=version(votes, settings, without, weights),
        classes=votes.classes,
        samples=[votes.samples[row] for row in rows],
        probs=probs[rows],
        hard=hard.astype(np.int16),
        votes=people[rows].astype(np.int32),
        agreement=(table[rows, hard] / people[rows]).astype(np.float32),
        method=method,
        created_at=datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        settings=settings,
    )


def check_method(votes: VoteTable, method: str) -> None:
    """Raise :class:`DataError` where an answer holds several labels, and ``method`` takes one an answer."""
    if not getattr(AGGREGATORS.load(method), "takes_several", False):
        one_each(votes, f'The aggregator "{method}"', "Take soft: --method soft, or labeling.aggregator = soft")


def unlabelable(votes: VoteTable, meta: Mapping[str, Mapping[str, int]]) -> frozenset[str]:
    """Ids of samples that at least half of the people call unlabelable (unknown, no face, several faces)."""
    people = whole(np.bincount(votes.sample, weights=votes.weight, minlength=len(votes.samples)))
    named = dict(zip(votes.samples, people.tolist(), strict=True))
    return frozenset(sample for sample, said in meta.items() if sum(said.values()) >= named.get(sample, 0.0))


def version_of(found: Ballots, recipe: LabelRecipe) -> str:
    """The version of the labels that :func:`labels_of` would make, without making them."""
    return version(with_votes(found.votes, 1), recipe.settings(), found.aside, _weights(found, recipe))


def _weights(found: Ballots, recipe: LabelRecipe) -> NDArray[np.float32] | None:
    """What each vote is worth where shown guesses are corrected; ``None`` where every vote counts as it is.

    Every sample of the table has a vote, so the rows are those that :func:`label_set` goes by.
    """
    return anchored_votes.by_setting(found.votes, found.guessed, recipe.anchoring)


def version(
    votes: VoteTable,
    settings: Mapping[str, object],
    without: Collection[str] = (),
    weights: NDArray[np.float32] | None = None,
) -> str:
    """A sha256 over votes, classes and settings that does not depend on the order in which votes are listed."""
    samples, sample = _sorted(votes.samples, votes.sample)
    annotators, annotator = _sorted(votes.annotators, votes.annotator)
    columns = [sample.astype("<i8"), annotator.astype("<i8"), votes.label.astype("<i8"), votes.weight.astype("<f4")]
    columns += [] if weights is None else [weights.astype("<f4")]
    order = np.lexsort(columns[::-1])
    digest = hashlib.sha256()
    head = [list(votes.classes), samples, annotators, sorted(without), settings]
    digest.update(json.dumps(head, sort_keys=True).encode())
    for column in columns:
        digest.update(np.ascontiguousarray(column[order]).tobytes())
    return digest.hexdigest()


def _sorted(names: list[str], rows: NDArray[np.int32]) -> tuple[list[str], NDArray[np.int64]]:
    """``names`` in alphabetical order, and ``rows`` pointing into that order."""
    order = sorted(range(len(names)), key=names.__getitem__)
    place = np.empty(len(names), dtype=np.int64)
    place[order] = np.arange(len(names))
    return [names[i] for i in order], place[rows]


def _check(probs: NDArray[np.float32], method: str, shape: tuple[int, int]) -> None:
    if probs.shape != shape:
        raise DataError(f'The aggregator "{method}" returned shape {probs.shape}; expected {shape}.')
    if not (np.isfinite(probs).all() and (probs >= 0).all() and np.allclose(probs.sum(axis=1), 1, atol=1e-4)):
        raise DataError(f'The aggregator "{method}" returned rows that are not distributions (they must sum to 1).')
