"""How far the ledger of votes had come when something was made of it, and what happened to it since."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Connection, case, func, select

from emolab.catalog.storage import schema
from emolab.catalog.storage.counted import EDITED, WITHDRAWN
from emolab.catalog.votes import alive

_votes, _counts = schema.votes, schema.vote_counts


class LedgerMark(NamedTuple):
    """Rows of the ledger, which is only added to: the same mark means the same votes.

    ``votes`` counts them, ``newest`` is the key of the last one, ``edited`` and ``withdrawn`` count tombstones.
    """

    votes: int
    newest: int
    edited: int
    withdrawn: int


class LedgerChange(NamedTuple):
    """Opinions of people since a mark: how many ``came``, were ``edited`` and were ``withdrawn``."""

    came: int
    edited: int
    withdrawn: int

    def __str__(self) -> str:
        """In words, or nothing.

        >>> str(LedgerChange(12, 0, 0)), str(LedgerChange(1, 2, 1)), str(LedgerChange(0, 0, 0))
        ('12 votes came in', '1 vote came in, 2 were edited and 1 was withdrawn', '')
        """
        verbs = (("came in", "came in"), ("was edited", "were edited"), ("was withdrawn", "were withdrawn"))
        told = [(n, one if n == 1 else several) for n, (one, several) in zip(self, verbs, strict=True) if n]
        parts = [f"{n:,}{'' if i else ' vote' if n == 1 else ' votes'} {verb}" for i, (n, verb) in enumerate(told)]
        return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)


def mark(conn: Connection) -> LedgerMark:
    """Where the ledger is now."""
    edited, withdrawn = (case((_counts.c.fate == fate, _counts.c.n), else_=0) for fate in (EDITED, WITHDRAWN))
    newest = select(func.max(_votes.c.pk)).scalar_subquery()
    row = conn.execute(select(func.sum(_counts.c.n), newest, func.sum(edited), func.sum(withdrawn))).one()
    return LedgerMark(*(int(number or 0) for number in row))


def since(conn: Connection, earlier: LedgerMark) -> LedgerChange:
    """What happened after ``earlier``; an opinion that came in and was withdrawn again counts among the withdrawn."""
    now = mark(conn)
    query = select(func.sum(_votes.c.count)).where(
        _votes.c.pk > earlier.newest, alive(), _votes.c.rejected.is_(None), _votes.c.label.is_not(None)
    )
    fresh = int(conn.execute(query).scalar() or 0)
    edited = max(0, now.edited - earlier.edited)  # fewer where samples were forgotten with their votes
    return LedgerChange(max(0, fresh - edited), edited, max(0, now.withdrawn - earlier.withdrawn))


def parse(value: Any) -> LedgerMark | None:
    """The mark that was stored as a list of numbers; ``None`` for anything else."""
    whole = isinstance(value, list) and len(value) == len(LedgerMark._fields)
    return LedgerMark(*value) if whole and all(isinstance(n, int) for n in value) else None
