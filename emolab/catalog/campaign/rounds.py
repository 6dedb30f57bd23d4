"""Labelling rounds and what was suggested in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, delete, exists, func, insert, select

from emolab.catalog.samples import keys
from emolab.catalog.storage import schema
from emolab.catalog.storage.chunks import chunks
from emolab.catalog.storage.engine import now
from emolab.records import Suggestion

_rounds, _suggestions, _samples = schema.rounds, schema.suggestions, schema.samples


@dataclass(frozen=True)
class Round:
    """One call of ``suggest``: its number, how it chose, and how many it proposed."""

    number: int
    strategy: str
    model: str | None
    n: int
    seed: int
    settings: Mapping[str, Any]
    created_at: str


def next_number(conn: Connection) -> int:
    """The number the next round gets; the first is 1."""
    return int(conn.execute(select(func.coalesce(func.max(_rounds.c.number), 0))).scalar_one()) + 1


def create(
    tx: Connection,
    suggestions: Sequence[Suggestion],
    *,
    strategy: str,
    model: str | None,
    seed: int,
    settings: Mapping[str, Any],
) -> Round:
    """Record a round with its suggestions (all carry its number) and return it."""
    number = suggestions[0].round if suggestions else next_number(tx)
    made = Round(number, strategy, model, len(suggestions), seed, dict(settings), now())
    tx.execute(insert(_rounds).values(**made.__dict__))
    pk = keys(tx, [suggestion.sample_id for suggestion in suggestions])
    for part in chunks(suggestions, 2000):
        tx.execute(
            insert(_suggestions),
            [
                {
                    "round": number,
                    "sample": pk[s.sample_id],
                    "rank": s.rank,
                    "score": s.score,
                    "reason": s.reason,
                    "kind": s.kind,
                    "strategy": s.strategy,
                }
                for s in part
            ],
        )
    return made


def list_all(conn: Connection) -> list[Round]:
    """Every round, oldest first."""
    return [Round(**row._mapping) for row in conn.execute(select(_rounds).order_by(_rounds.c.number))]


def count(conn: Connection) -> int:
    """How many rounds there were."""
    return int(conn.execute(select(func.count()).select_from(_rounds)).scalar_one())


def count_unsent(conn: Connection) -> int:
    """How many suggestions wait to be sent, as :func:`suggestions` lists them with ``unsent``."""
    query = select(func.count()).select_from(_suggestions.join(_samples, _samples.c.pk == _suggestions.c.sample))
    return int(conn.execute(query.where(*_waiting())).scalar_one())


def waiting(conn: Connection) -> dict[int, dict[str, int]]:
    """How many suggestions wait to be sent, by round and kind."""
    number, kind = _suggestions.c.round, _suggestions.c.kind
    query = select(number, kind, func.count()).select_from(
        _suggestions.join(_samples, _samples.c.pk == _suggestions.c.sample)
    )
    found: dict[int, dict[str, int]] = {}
    for row in conn.execute(query.where(*_waiting()).group_by(number, kind).order_by(number)):
        found.setdefault(int(row[0]), {})[str(row[1])] = int(row[2])
    return found


def waiting_page(conn: Connection, *, after: tuple[int, int], n: int) -> list[Suggestion]:
    """The next ``n`` suggestions that wait, by round and rank, behind the one with this round and rank."""
    number, rank = _suggestions.c.round, _suggestions.c.rank
    behind = (number > after[0]) | ((number == after[0]) & (rank > after[1]))
    return _read(conn, _with_ids().where(behind, *_waiting()).limit(n))


def drop_waiting(tx: Connection, number: int) -> int:
    """Forget the suggestions of a round that wait to be sent, and say how many; its number is never given again."""
    query = select(_suggestions.c.sample).select_from(
        _suggestions.join(_samples, _samples.c.pk == _suggestions.c.sample)
    )
    found = [row[0] for row in tx.execute(query.where(_suggestions.c.round == number, *_waiting()))]
    for part in chunks(found, 500):
        tx.execute(delete(_suggestions).where(_suggestions.c.round == number, _suggestions.c.sample.in_(part)))
    return len(found)


def _waiting() -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """True for suggestions no labelling server has received and, where they are new, nobody has answered meanwhile."""
    sent = exists().where(
        and_(
            schema.remote_tasks.c.sample == _suggestions.c.sample,
            schema.remote_tasks.c.round >= _suggestions.c.round,  # a later round has taken the task over
        )
    )
    return ~sent, (_suggestions.c.kind == "revote") | (_samples.c.n_votes == 0)


def suggestions(conn: Connection, *, round_number: int | None = None, unsent: bool = False) -> list[Suggestion]:
    """What was suggested, by round and rank; one round only, or only what no labelling server has received yet.

    With ``unsent``, new samples that somebody has answered meanwhile are left out as well.
    """
    query = _with_ids()
    if round_number is not None:
        query = query.where(_suggestions.c.round == round_number)
    if unsent:
        query = query.where(*_waiting())
    return _read(conn, query)


def of_sample(conn: Connection, sample_id: str) -> list[Suggestion]:
    """Every suggestion of one sample, by round."""
    return _read(conn, _with_ids().where(_samples.c.id == sample_id))


def _with_ids() -> Select[Any]:
    return (
        select(_samples.c.id, _suggestions)
        .join(_samples, _samples.c.pk == _suggestions.c.sample)
        .order_by(_suggestions.c.round, _suggestions.c.rank)
    )


def _read(conn: Connection, query: Select[Any]) -> list[Suggestion]:
    return [
        Suggestion(
            sample_id=row.id,
            score=row.score,
            reason=row.reason,
            strategy=row.strategy,
            round=row.round,
            rank=row.rank,
            kind=row.kind,
        )
        for row in conn.execute(query)
    ]
