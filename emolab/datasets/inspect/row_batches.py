"""Rows of the FiftyOne view in batches: one pass over the samples by key.

Votes, labels and suggestions of a batch are fetched by key range, so memory does not grow with the catalog.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import Connection, and_, exists, select

from emolab.catalog.campaign.questions import texts
from emolab.catalog.storage import schema
from emolab.datasets.inspect.drawn_samples import SIZE, picture
from emolab.datasets.inspect.rows import SampleRow
from emolab.records import Predictions

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sqlalchemy import ColumnElement

BATCH = 2000

_samples, _votes, _labels, _suggestions = schema.samples, schema.votes, schema.labels, schema.suggestions


def batches(
    conn: Connection,
    *,
    root: Path,
    classes: Sequence[str],
    predictions: Predictions | None = None,
    pictures: Path | None = None,
    only: ColumnElement[bool] | None = None,
) -> Iterator[list[SampleRow]]:
    """Every sample in the order it was added, in lists of at most ``BATCH`` rows.

    ``root`` is the workspace, below which media lie; ``predictions`` of a model whose classes are ``classes``;
    ``pictures`` holds the pictures that stand for samples which are none themselves.
    ``only``: samples of which this SQL is true.
    """
    reader = _Reader(conn, root, tuple(classes), predictions)
    reader.pictures, reader.only = pictures, only
    last = -1
    while True:
        rows, last = reader.after(last)
        if not rows:
            return
        yield rows


class _Reader:
    """What stays the same from batch to batch."""

    def __init__(self, conn: Connection, root: Path, classes: tuple[str, ...], predictions: Predictions | None) -> None:
        self.conn, self.root, self.classes = conn, f"{root}/", classes
        self.pictures: Path | None = None
        self.only: ColumnElement[bool] | None = None
        self.scale = 1.0 / np.log(len(classes))
        self.probs = predictions.probs if predictions else None
        self.row_of = {uid: i for i, uid in enumerate(predictions.samples)} if predictions else {}
        self.annotators = {
            key: value for key, value in conn.execute(select(schema.annotators.c.pk, schema.annotators.c.name))
        }
        representative = _samples.c.representative
        query = select(representative).where(representative != _samples.c.id).distinct()
        self.representatives = set(conn.execute(query).scalars())
        sets = schema.label_sets.c
        self.label_set = conn.execute(select(sets.pk, sets.classes).where(sets.current)).one_or_none()
        self.rounds = {
            key: value for key, value in conn.execute(select(schema.rounds.c.number, schema.rounds.c.created_at))
        }

    def after(self, last: int) -> tuple[list[SampleRow], int]:
        """The next rows and the key of the last one."""
        s = _samples.c
        query = (
            select(
                s.pk, s.id, s.media, s.source, s.added_at, s.split, s.group, s.width, s.height,
                s.quality, s.representative, s.n_votes,
            )
            .where(s.pk > last, schema.present, *([] if self.only is None else [self.only]))
            .order_by(s.pk)
            .limit(BATCH)
        )  # fmt: skip
        rows: dict[int, SampleRow] = {}
        for (
            pk, uid, media, source, added_at, split, group, width, height, quality, representative, n_votes,
        ) in self.conn.execute(query).all():  # fmt: skip
            row = SampleRow(uid, self._path(media), source, added_at, split, group, width, height, quality)
            row.n_votes = n_votes
            if self.pictures is not None:
                row.file, row.filepath = row.filepath, str(picture(self.pictures, uid))
                row.width, row.height = SIZE
            if representative is not None and representative != uid:
                row.duplicate_of = row.duplicate_group = representative
            elif uid in self.representatives:
                row.duplicate_group = uid
            rows[pk] = row
            last = pk
        if rows:
            self._votes(rows, self._suggestions(rows))
            self._labels(rows)
            self._predictions(list(rows.values()))
        return list(rows.values()), last

    def _path(self, media: str) -> str:
        return media if "://" in media or media.startswith("/") else self.root + media

    def _suggestions(self, rows: dict[int, SampleRow]) -> dict[int, str]:
        """Fill in the newest suggestion of each sample; returns when samples were asked for again."""
        g = _suggestions.c
        query = (
            select(g.sample, g.round, g.rank, g.score, g.reason, g.kind)
            .where(g.sample.between(min(rows), max(rows)))
            .order_by(g.round)
        )
        again: dict[int, str] = {}
        for pk, number, rank, score, reason, kind in self.conn.execute(query).all():
            row = rows[pk]
            row.round, row.suggestion = number, (rank, score, reason)
            row.suggested = kind == "revote" or row.n_votes == 0
            if kind == "revote":
                again[pk] = self.rounds[number]
        return again

    def _votes(self, rows: dict[int, SampleRow], asked_again: dict[int, str]) -> None:
        """Fill in who said what; ``asked_again`` says since when one more opinion is wanted."""
        v = _votes.c
        dead = exists().where(schema.tombstones.c.vote == v.pk)
        query = (
            select(v.sample, v.annotator, v.label, v.also, v.count, v.seen_at, v.extra)
            .where(and_(v.sample.between(min(rows), max(rows)), v.label.is_not(None), v.rejected.is_(None), ~dead))
            .order_by(v.sample, v.pk)
        )
        number = {name: i for i, name in enumerate(self.classes)}
        order = {pk: i for i, pk in enumerate(rows)}
        counts = np.zeros((len(rows), len(self.classes)))
        for pk, annotator, first, also, people, seen_at, extra in self.conn.execute(query).all():
            row, labels = rows[pk], (first, *(also or ()))
            who = self.annotators[annotator]
            for label in labels:
                row.votes[label] = row.votes.get(label, 0) + people
                row.answers.append((who, label, people))
            row.extra += [(who, question, text) for question, said in (extra or {}).items() for text in texts(said)]
            known = [number[label] for label in labels if label in number]
            for column in known:
                counts[order[pk], column] += people / len(known)
            if pk in asked_again and seen_at > asked_again[pk]:
                row.suggested = False
        totals = counts.sum(axis=1)
        shares = counts / np.maximum(totals, 1)[:, None]
        agreement = np.round(shares.max(axis=1), 4).tolist()
        entropy = np.round(_entropy(shares) * self.scale, 4).tolist()
        for i, row in enumerate(rows.values()):
            if totals[i] > 0:
                row.agreement, row.vote_entropy = agreement[i], entropy[i]

    def _labels(self, rows: dict[int, SampleRow]) -> None:
        """Fill in the current label set."""
        if self.label_set is None or tuple(self.label_set.classes) != self.classes:
            return
        c = _labels.c
        query = select(c.sample, c.hard, c.probs).where(
            c.label_set == self.label_set.pk, c.sample.between(min(rows), max(rows))
        )
        found = self.conn.execute(query).all()
        joined = np.frombuffer(b"".join(probs for _, _, probs in found), dtype="<f4")
        shares = np.round(joined.reshape(len(found), len(self.classes)).astype(np.float64), 4).tolist()
        for (pk, hard, _), distribution in zip(found, shares, strict=True):
            row = rows[pk]
            row.label, row.distribution, row.confidence = self.classes[hard], distribution, distribution[hard]

    def _predictions(self, rows: list[SampleRow]) -> None:
        """Fill in what the model thinks."""
        if self.probs is None:
            return
        known = [row for row in rows if row.uid in self.row_of]
        if not known:
            return
        index = [self.row_of[row.uid] for row in known]
        probs = np.asarray(self.probs[index], dtype=np.float64)
        top = np.sort(probs, axis=1)[:, ::-1]
        entropy = np.round(_entropy(probs) * self.scale, 4).tolist()
        margin = np.round(top[:, 0] - top[:, 1], 4).tolist()
        winner = probs.argmax(axis=1).tolist()
        logits = np.log(np.maximum(probs, 1e-6)).astype("<f4")
        shares = np.round(probs, 4).tolist()
        for i, row in enumerate(known):
            row.prediction, row.probs = self.classes[winner[i]], shares[i]
            row.logits, row.entropy, row.margin = logits[i].tobytes(), entropy[i], margin[i]


def _entropy(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shannon entropy of each row in nats; ``shares`` (n, k), rows sum to 1 or 0."""
    logs = np.log(np.where(shares > 0, shares, 1.0))
    found: NDArray[np.float64] = -(shares * logs).sum(axis=1)
    return found
