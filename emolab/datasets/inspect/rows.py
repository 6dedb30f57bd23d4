"""What the FiftyOne view shows of each sample, as a plain row, and what the catalog says about all of them.

Knows nothing of FiftyOne. The rows are read in batches: :mod:`emolab.datasets.inspect.row_batches`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import ColumnElement, Connection, exists, func, select

from emolab.catalog.storage import schema
from emolab.datasets.inspect.answers import PREFIX, Pulled

if TYPE_CHECKING:
    pass


_samples, _votes = schema.samples, schema.votes


@dataclass(slots=True)
class SampleRow:
    """One sample as people see it.

    ``votes`` counts people per class or meta label; ``answers`` are (annotator, answer, people),
    ``extra`` are (annotator, question of the team's own, answer);
    ``distribution`` and ``probs`` hold one share per class of the project; ``agreement`` is the share of
    class votes that the winner got; all entropies are divided by the log of the number of classes, so that
    they lie in 0..1; ``suggestion`` is (rank, score, reason) of the newest round that proposed the sample,
    ``suggested`` whether it still waits for an answer; ``file`` is the sample's own file where ``filepath`` is a
    picture that stands for it.
    """

    uid: str
    filepath: str
    source: str
    added_at: str
    split: str | None = None
    group: str | None = None
    width: int | None = None
    height: int | None = None
    quality: dict[str, float] | None = None
    duplicate_of: str | None = None
    duplicate_group: str | None = None
    votes: dict[str, int] = field(default_factory=dict)
    answers: list[tuple[str, str, int]] = field(default_factory=list)
    extra: list[tuple[str, str, str]] = field(default_factory=list)
    n_votes: int = 0
    agreement: float | None = None
    vote_entropy: float | None = None
    label: str | None = None
    confidence: float | None = None
    distribution: list[float] | None = None
    prediction: str | None = None
    probs: list[float] | None = None
    logits: bytes | None = None
    entropy: float | None = None
    margin: float | None = None
    suggested: bool = False
    round: int | None = None
    suggestion: tuple[int, float, str] | None = None
    file: str | None = None


def example(classes: Sequence[str]) -> SampleRow:
    """A row with a value in every column, to try things out on."""
    share = 1.0 / len(classes)
    return SampleRow(
        uid="0123456789abcdef" * 4, filepath="/emolab/example.png", source="example", split="train", group="ann",
        added_at="2026-01-01T00:00:00.000Z", width=48, height=48, quality={"blur": 0.5}, duplicate_of="0" * 64,
        duplicate_group="0" * 64, votes={classes[0]: 2, "unknown": 1}, n_votes=3, agreement=1.0, vote_entropy=0.0,
        answers=[("ann", classes[0], 2), ("bob", "unknown", 1)], extra=[("ann", "quality", "sharp")],
        label=classes[0], confidence=share,
        distribution=[share] * len(classes), prediction=classes[1], probs=[share] * len(classes),
        logits=np.full(len(classes), np.log(share), dtype="<f4").tobytes(), entropy=1.0, margin=0.0,
        suggested=True, round=1, suggestion=(0, 0.5, "an example"),
    )  # fmt: skip


def count(conn: Connection, only: ColumnElement[bool] | None = None) -> int:
    """How many rows there will be, of the samples of which ``only`` is true."""
    which = [schema.present] if only is None else [schema.present, only]
    return int(conn.execute(select(func.count()).select_from(_samples).where(*which)).scalar_one())


def known(conn: Connection) -> set[str]:
    """The ids of all samples."""
    return set(conn.execute(select(_samples.c.id).where(schema.present)).scalars())


def qualities(conn: Connection) -> list[str]:
    """The measures of quality that the oldest and the newest samples have, in a fixed order."""
    names: set[str] = set()
    for order in (_samples.c.pk, _samples.c.pk.desc()):
        for quality in conn.execute(select(_samples.c.quality).order_by(order).limit(200)).scalars():
            names.update(quality or ())
    return sorted(names)


def inspected(conn: Connection) -> dict[str, list[Pulled]]:
    """The votes that came from the FiftyOne App and still count, by sample id."""
    v, annotators = _votes.c, schema.annotators.c
    dead = exists().where(schema.tombstones.c.vote == v.pk)
    query = (
        select(_samples.c.id, v.origin, annotators.name, v.label)
        .join(_samples, _samples.c.pk == v.sample)
        .join(schema.annotators, annotators.pk == v.annotator)
        .where(v.origin >= PREFIX, v.origin < PREFIX + "\uffff", ~dead)
        .order_by(v.pk)
    )
    found: dict[str, list[Pulled]] = {}
    for uid, origin, annotator, label in conn.execute(query):
        found.setdefault(uid, []).append(Pulled(origin, annotator, label))
    return found
