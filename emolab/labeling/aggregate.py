"""From the ledger of votes to a versioned set of labels."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from emolab.catalog import labels as catalog_labels
from emolab.catalog import tallies
from emolab.errors import DataError
from emolab.labeling.aggregators import DEFAULTS, Options
from emolab.records import LabelSet, VoteTable
from emolab.registry import AGGREGATORS
from emolab.tally import counts, with_votes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emolab.workspace import Workspace


@dataclass(frozen=True)
class Aggregation:
    """A set of labels and what did not get into it.

    ``new`` tells whether it replaced another version; ``too_few`` samples have votes, but fewer than wanted;
    ``set_aside`` ones were called unlabelable by at least half of the people; ``ties`` have no single most
    voted class.
    """

    labels: LabelSet
    new: bool
    votes: int
    annotators: int
    too_few: int
    set_aside: int
    ties: int


def aggregate(workspace: Workspace, *, method: str | None = None, min_votes: int | None = None) -> Aggregation:
    """Compute the current labels from all active votes, store them, and return them with a summary.

    Method and minimum default to the workspace's settings. Running it again without new votes changes
    nothing. Raises :class:`DataError` when there is no sample with enough votes, :class:`UnknownName` for an
    unknown method.
    """
    config = workspace.config
    method = method or config.labeling.aggregator
    min_votes = config.labeling.min_votes if min_votes is None else min_votes
    AGGREGATORS.load(method)
    with workspace.catalog() as catalog:
        with catalog.connect() as conn:
            votes = tallies.table(conn, config.project.classes)
            meta = tallies.meta_counts(conn)
        aside = unlabelable(votes, meta)
        labels = label_set(
            votes, method=method, min_votes=min_votes, options=Options(prior=config.labeling.prior), without=aside
        )
        if not labels.samples:
            voted = len(votes.samples)
            raise DataError(
                f"No sample has {max(min_votes, 1)} or more votes for a class ({voted} have fewer)."
                if voted
                else "There are no votes for any class yet.",
                hint='Run "emolab label pull", or pass --min-votes 1.' if voted else 'Run "emolab label pull".',
            )
        with catalog.begin() as tx:
            new = catalog_labels.write(tx, labels)
    table = counts(votes)
    kept = {sample: row for row, sample in enumerate(votes.samples)}
    inside = table[[kept[sample] for sample in labels.samples]]
    return Aggregation(
        labels=labels,
        new=new,
        votes=int(inside.sum()),
        annotators=len(votes.annotators),
        too_few=len(votes.samples) - len(labels.samples) - len(aside & kept.keys()),
        set_aside=len(aside),
        ties=int(((inside == inside.max(axis=1, keepdims=True)).sum(axis=1) > 1).sum()),
    )


def label_set(
    votes: VoteTable,
    *,
    method: str,
    min_votes: int = 1,
    options: Options = DEFAULTS,
    without: Collection[str] = (),
) -> LabelSet:
    """The labels that ``method`` makes of ``votes``: a pure function, named by a hash of everything it depends on.

    All votes teach the method about the annotators; samples with fewer than ``min_votes`` people and the ids
    in
    ``without`` get no label. On a tie the hard class is the first in the order of the classes.
    """
    votes = with_votes(votes, 1)
    probs = np.asarray(AGGREGATORS.load(method)(votes, options), dtype=np.float32)
    _check(probs, method, (len(votes.samples), len(votes.classes)))
    table = counts(votes)
    people = table.sum(axis=1)
    without = frozenset(without)
    rows = np.flatnonzero((people >= min_votes) & np.array([s not in without for s in votes.samples], dtype=bool))
    hard = probs[rows].argmax(axis=1) if len(rows) else np.empty(0, dtype=np.int64)
    settings = {"method": method, "min_votes": min_votes, "options": asdict(options)}
    return LabelSet(
        version=version(votes, settings, without),
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


def unlabelable(votes: VoteTable, meta: Mapping[str, Mapping[str, int]]) -> frozenset[str]:
    """Ids of samples that at least half of the people call unlabelable (unknown, no face, several faces)."""
    people = np.bincount(votes.sample, weights=votes.weight, minlength=len(votes.samples))
    named = dict(zip(votes.samples, people.tolist(), strict=True))
    return frozenset(sample for sample, said in meta.items() if sum(said.values()) >= named.get(sample, 0.0))


def version(votes: VoteTable, settings: Mapping[str, object], without: Collection[str] = ()) -> str:
    """A sha256 over votes, classes and settings that does not depend on the order in which votes are listed."""
    samples, sample = _sorted(votes.samples, votes.sample)
    annotators, annotator = _sorted(votes.annotators, votes.annotator)
    order = np.lexsort((votes.weight, votes.label, annotator, sample))
    digest = hashlib.sha256()
    head = [list(votes.classes), samples, annotators, sorted(without), settings]
    digest.update(json.dumps(head, sort_keys=True).encode())
    for column in (
        sample.astype("<i8"),
        annotator.astype("<i8"),
        votes.label.astype("<i8"),
        votes.weight.astype("<f4"),
    ):
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
