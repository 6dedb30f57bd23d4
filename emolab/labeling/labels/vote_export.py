"""Votes as a table for other programs: one row a vote, with the guess that was shown and the team's extra answers."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, TYPE_CHECKING, Any

from emolab.catalog import votes

if TYPE_CHECKING:
    from sqlalchemy import Connection

#: The columns in their order.
COLUMNS = (
    "sample", "annotator", "label", "count", "second", "confidence", "lead_time", "round", "perspective", "cast_at",
    "rejected", "shown", "extra", "origin",
)  # fmt: skip


def rows(
    conn: Connection, *, rejected: bool = False, nicknames: Mapping[str, str] | None = None
) -> Iterator[dict[str, Any]]:
    """Every active vote as a row, in the order they came; ``rejected``: those that do not count as well.

    People appear under their pseudonyms; under the names of ``nicknames``, by pseudonym, where those are given.
    """
    names = nicknames or {}
    for vote in votes.iterate(conn, include_rejected=rejected):
        made = {column: getattr(vote, "sample_id" if column == "sample" else column) for column in COLUMNS}
        yield {**made, "annotator": names.get(vote.annotator, vote.annotator), "extra": dict(vote.extra)}


def write_csv(stream: IO[str], table: Iterable[Mapping[str, Any]]) -> int:
    """Write rows as CSV, extra answers as JSON in one column, and return how many rows there were."""
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    n = 0
    for row in table:
        extra = json.dumps(row["extra"], sort_keys=True, ensure_ascii=False) if row["extra"] else ""
        writer.writerow({**row, "extra": extra})
        n += 1
    return n


def write_json(stream: IO[str], table: Iterable[Mapping[str, Any]]) -> int:
    """Write rows as a JSON list, one row a line, and return how many rows there were."""
    n = 0
    for row in table:
        stream.write(("[\n" if n == 0 else ",\n") + json.dumps(row, ensure_ascii=False))
        n += 1
    stream.write("\n]\n" if n else "[]\n")
    return n
