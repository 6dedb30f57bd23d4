"""The columns that a vote has in every file: from the ledger to a row of plain values, and back."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emolab.catalog import votes
from emolab.errors import DataError
from emolab.records import PERSPECTIVES, Vote

if TYPE_CHECKING:
    from sqlalchemy import Connection

#: The columns in their order; ``kind`` of annotator is person, dataset or inspector.
COLUMNS = (
    "sample", "annotator", "label", "also", "count", "second", "confidence", "lead_time", "round", "perspective",
    "cast_at", "rejected", "shown", "extra", "origin", "kind",
)  # fmt: skip
#: What is a number, and of which type; everything else but ``also`` and ``extra`` is text.
NUMBERS: Mapping[str, type[int] | type[float]] = {"count": int, "round": int, "confidence": float, "lead_time": float}
KINDS = ("person", "dataset", "inspector")
_LONGEST = {"label": 64, "second": 64, "shown": 64, "annotator": 128, "origin": 128, "cast_at": 32}


@dataclass(frozen=True, slots=True)
class FileVote:
    """A ``vote`` of a file, the ``kind`` of its annotator, and the ``place`` in the file where it stands."""

    vote: Vote
    kind: str
    place: str


def rows(
    conn: Connection, *, rejected: bool = False, nicknames: Mapping[str, str] | None = None
) -> Iterator[dict[str, Any]]:
    """Every active vote as a row, in the order they came; ``rejected``: those that do not count as well.

    People appear under their pseudonyms; under the names of ``nicknames``, by pseudonym, where those are given.
    """
    names, kinds = nicknames or {}, votes.annotator_kinds(conn)
    for vote in votes.iterate(conn, include_rejected=rejected):
        yield row_of(vote, kinds[vote.annotator], names.get(vote.annotator, vote.annotator))


def row_of(vote: Vote, kind: str, annotator: str) -> dict[str, Any]:
    """``vote`` as a row of plain values, by :data:`COLUMNS`."""
    made = {column: getattr(vote, column) for column in COLUMNS if column not in ("sample", "kind")}
    row = {
        "sample": vote.sample_id,
        **made,
        "annotator": annotator,
        "also": list(vote.also),
        "extra": dict(vote.extra),
        "kind": kind,
    }
    return {column: row[column] for column in COLUMNS}


def file_vote(row: Mapping[str, Any], place: str, annotator: str | None = None, kind: str = "person") -> FileVote:
    """The vote of a row at ``place`` of a file; ``annotator`` and ``kind`` are those of rows that name none.

    Raises :class:`DataError` for a row without a sample, label or annotator, and for a value that cannot be one.
    """
    given = {name: row.get(name) for name in COLUMNS}
    values = {name: _value(name, value, place) for name, value in given.items() if value is not None}
    values.setdefault("annotator", annotator)
    for name in ("sample", "annotator"):
        if not values.get(name):
            hint = "Name who gave these answers: --annotator NAME" if name == "annotator" else None
            raise DataError(f"{place} names no {name}.", hint=hint)
    if values.get("label") is None and values.get("rejected") is None:
        raise DataError(f"{place} has no label; a skip says so in its column rejected.")
    kind = values.pop("kind", kind)
    if kind not in KINDS:
        raise DataError(f'{place}: "{kind}" is no kind of annotator; expected {", ".join(KINDS)}.')
    sample = values.pop("sample")
    values.setdefault("label", None)
    if not values.get("origin"):
        values["origin"] = origin_of(sample, values["annotator"], values.get("perspective", "perceived"))
    return FileVote(Vote(sample_id=sample, **values), kind, place)


def origin_of(sample: str, annotator: str, perspective: str) -> str:
    """Where an answer lives whose file does not say it: one for each sample, person and question."""
    said = "\n".join((sample, annotator, perspective))
    return f"import:{hashlib.sha256(said.encode()).hexdigest()[:32]}"


def _value(name: str, value: Any, place: str) -> Any:
    """``value`` of the column ``name``, checked."""
    if name == "extra":
        return _extra(value, place)
    if name == "also":
        return _also(value, place)
    if name in NUMBERS:
        return _number(name, value, place)
    if not isinstance(value, str):
        raise DataError(f"{place}: {name} is {value!r}; expected text.")
    if len(value) > _LONGEST.get(name, len(value)):
        raise DataError(f"{place}: {name} has {len(value)} characters; expected at most {_LONGEST[name]}.")
    if name == "perspective" and value not in PERSPECTIVES:
        raise DataError(f'{place}: "{value}" is no perspective; expected {", ".join(PERSPECTIVES)}.')
    return value


def _number(name: str, value: Any, place: str) -> int | float:
    """A number of the column ``name``; what is not whole, not finite or below the least is refused."""
    low, high = {"count": (1, 2**31 - 1), "confidence": (0, 1), "round": (0, 2**31 - 1)}.get(name, (0, math.inf))
    try:
        number = NUMBERS[name](value)
        right = not isinstance(value, bool) and number == float(value) and low <= number <= high
    except (TypeError, ValueError, OverflowError):
        right = False
    if not right or not math.isfinite(number):
        raise DataError(f"{place}: {name} is {value!r}; expected a number from {low} to {high}.")
    return number


def _also(value: Any, place: str) -> tuple[str, ...]:
    """Further labels of one answer: a list, or its JSON."""
    try:
        found = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        found = None
    if not isinstance(found, list | tuple) or not all(isinstance(one, str) and one for one in found):
        raise DataError(f"{place}: also is {value!r}; expected a JSON list of labels.")
    return tuple(found)


def _extra(value: Any, place: str) -> dict[str, Any]:
    """Answers to the team's own questions: an object, or its JSON."""
    try:
        found = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        found = None
    if not isinstance(found, Mapping):
        raise DataError(f"{place}: extra is {value!r}; expected a JSON object.")
    return dict(found)
