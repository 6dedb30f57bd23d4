"""How a vote becomes a row of the ledger, and a row a vote again."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from emolab.catalog.storage import schema
from emolab.records import Vote

_v = schema.votes.c
#: What is read of a row, after the id of its sample and the name of its annotator.
COLUMNS = (
    _v.label,
    _v.origin,
    _v.count,
    _v.lead_time,
    _v.round,
    _v.perspective,
    _v.confidence,
    _v.second,
    _v.cast_at,
    _v.rejected,
    _v.shown,
    _v.extra,
    _v.also,
)


def values(vote: Vote, sample: int, annotator: int, content: str, seen_at: str) -> dict[str, Any]:
    """The row of ``vote`` about the sample and by the annotator with these keys; ``content`` is its hash."""
    return {
        "sample": sample,
        "annotator": annotator,
        "label": vote.label,
        "count": vote.count,
        "lead_time": vote.lead_time,
        "round": vote.round,
        "origin": vote.origin,
        "content": content,
        "perspective": vote.perspective,
        "confidence": vote.confidence,
        "second": vote.second,
        "cast_at": vote.cast_at,
        "seen_at": seen_at,
        "rejected": vote.rejected,
        "shown": vote.shown,
        "extra": dict(vote.extra) or None,
        "also": list(vote.also) or None,
    }


def content(vote: Vote) -> str:
    """A hash of what was said, to see that an opinion was changed."""
    said: list[Any] = [
        vote.sample_id,
        vote.annotator,
        vote.label,
        vote.count,
        vote.second,
        vote.confidence,
        vote.rejected,
    ]
    if vote.extra:
        said.append(dict(vote.extra))
    if vote.also:
        said.append(list(vote.also))
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def vote(row: tuple[Any, ...]) -> Vote:
    """The vote of a row: id of the sample, name of the annotator, then :data:`COLUMNS`."""
    (
        sample_id,
        annotator,
        label,
        origin,
        people,
        lead_time,
        number,
        perspective,
        confidence,
        second,
        cast_at,
        why,
        shown,
        extra,
        also,
    ) = row
    return Vote(
        sample_id=sample_id,
        annotator=annotator,
        label=label,
        origin=origin,
        count=people,
        lead_time=lead_time,
        round=number,
        perspective=perspective,
        confidence=confidence,
        second=second,
        cast_at=cast_at,
        rejected=why,
        shown=shown,
        extra=extra or {},
        also=tuple(also or ()),
    )
