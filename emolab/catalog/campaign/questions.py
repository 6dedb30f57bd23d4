"""What the team was asked beyond emolab's own question, and how often which answer was given."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass

from sqlalchemy import Connection, select

from emolab.catalog.storage import schema
from emolab.catalog.votes import alive

_votes = schema.votes


@dataclass(frozen=True)
class Question:
    """One question of the team's own: how many votes answer it, and its answers as text, most frequent first."""

    name: str
    answers: int
    most_common: tuple[tuple[str, int], ...]
    different: int


def count(conn: Connection, *, top: int = 5) -> list[Question]:
    """Every question with an active vote that answers it, by name; votes that do not count are left out."""
    query = select(_votes.c.extra).where(alive(), _votes.c.rejected.is_(None), _votes.c.extra.is_not(None))
    found: dict[str, Counter[str]] = {}
    given: Counter[str] = Counter()
    for extra in conn.execution_options(yield_per=5000).execute(query).scalars():
        for name, value in (extra or {}).items():
            given[name] += 1
            found.setdefault(name, Counter()).update(texts(value))
    return [
        Question(name, given[name], tuple(answers.most_common(top)), len(answers))
        for name, answers in sorted(found.items())
    ]


def texts(value: object) -> list[str]:
    """The answers to one question as people read them: a text as it is, a drawn region or a number as JSON."""
    several = value if isinstance(value, list) else [value]
    return [v if isinstance(v, str) else json.dumps(v, sort_keys=True, ensure_ascii=False) for v in several]
