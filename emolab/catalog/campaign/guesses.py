"""Which guess of the model was sent with each task, whether people saw it, and the answers that can be compared.

1. What an answer tells of its form comes first (``remote_answers``): whoever sent the guess, every machine reads it.
2. Where an answer tells nothing, what this machine has sent counts (``remote_guesses``). A row holds from its moment
   until the next one of its task. It is written before the guess goes out, so none that people may have seen is
   missing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, insert, select, union

from emolab.catalog.campaign.answers import forms
from emolab.catalog.campaign.remotes import Project, projects
from emolab.catalog.samples import keys
from emolab.catalog.storage import schema
from emolab.catalog.storage.chunks import chunks
from emolab.catalog.storage.engine import now
from emolab.catalog.votes import alive
from emolab.records import NOTHING_SHOWN, SOME_GUESS, FormGuess, GuessedAnswer, moment

_guesses, _answers = schema.remote_guesses, schema.remote_answers
_samples, _votes, _annotators = schema.samples, schema.votes, schema.annotators


@dataclass(frozen=True, slots=True)
class _SentGuess:
    """A row of ``remote_guesses``: what held for a task from ``at`` on."""

    at: datetime
    label: str | None
    shown: bool
    share: float


def record(
    tx: Connection,
    project: Project,
    guesses: Mapping[str, str],
    *,
    tasks: Collection[str],
    blind: Collection[str],
    share: float,
) -> int:
    """Note which of ``guesses`` (class by sample id) goes out with each of ``tasks`` (sample ids).

    The form of the samples in ``blind``, a ``share`` of all, stays empty. A task that has lost its guess is noted too;
    one that goes on as before is not. Returns how many rows were written.
    """
    before = _newest(tx, project)
    fresh: dict[str, tuple[str | None, bool, float]] = {}
    for name in tasks:
        known, guess = before.get(name), guesses.get(name)
        row = (guess, guess is not None and name not in blind, share)
        lost = guess is None and known is not None and known[0] is not None
        if lost or (guess is not None and row != known):
            fresh[name] = row
    pk, moment = keys(tx, list(fresh)), now()
    rows = [
        {"project": project.pk, "sample": pk[name], "label": label, "shown": shown, "share": part, "at": moment}
        for name, (label, shown, part) in fresh.items()
        if name in pk
    ]
    for some in chunks(rows, 1000):
        tx.execute(insert(_guesses), list(some))
    return len(rows)


def standing(conn: Connection, project: Project) -> dict[str, FormGuess]:
    """The guesses that this machine has sent last with the project's tasks, shown and hidden, by sample id."""
    return {
        name: FormGuess(label, shown, share)
        for name, (label, shown, share) in _newest(conn, project).items()
        if label is not None
    }


def _newest(conn: Connection, project: Project) -> dict[str, tuple[str | None, bool, float]]:
    """What was noted last for each task that has had a guess: its class, whether it is shown, and the blind share."""
    newest = select(func.max(_guesses.c.pk)).where(_guesses.c.project == project.pk).group_by(_guesses.c.sample)
    query = (
        select(_samples.c.id, _guesses.c.label, _guesses.c.shown, _guesses.c.share)
        .join(_samples, _samples.c.pk == _guesses.c.sample)
        .where(_guesses.c.pk.in_(newest))
    )
    return {name: (label, shown, part) for name, label, shown, part in conn.execute(query)}


def answers(conn: Connection) -> list[GuessedAnswer]:
    """The answers that count, to tasks of which a share was to stay blind by chance when they were opened.

    Only those can be compared: where every form showed its guess, nothing says what people would have answered without.
    *Unknown* and *no face* are answers too; skips are none. Left out are answers of which it is not known what their
    form showed.
    """
    known = projects(conn)
    sent, told = _sent(conn, known), forms(conn, known)
    if not (sent or told):
        return []
    tried = union(
        *(select(table.c.sample).where(table.c.share > 0, table.c.share < 1) for table in (_guesses, _answers))
    )
    query = (
        select(
            _samples.c.id, _annotators.c.name, _votes.c.label, _votes.c.also, _votes.c.origin, _votes.c.shown,
            _votes.c.cast_at, _votes.c.lead_time,
        )
        .join(_samples, _samples.c.pk == _votes.c.sample)
        .join(_annotators, _annotators.c.pk == _votes.c.annotator)
        .where(_votes.c.sample.in_(tried), _votes.c.label.is_not(None), _votes.c.rejected.is_(None), alive())
        .order_by(_votes.c.pk)
    )  # fmt: skip
    found = []
    for name, annotator, first, also, origin, shown, cast_at, seconds in conn.execute(query):
        form = told.get(origin) or _form(
            _at(sent.get((origin.rpartition(":")[0] + ":", name), ()), _opened(cast_at, seconds))
        )
        if form is None or not 0 < form.share < 1:
            continue
        guess = form.label if not form.shown or shown == SOME_GUESS else shown
        said = guess if guess in (also or ()) else first
        if form.shown and shown not in (None, NOTHING_SHOWN):
            found.append(GuessedAnswer(name, annotator, said, guess, True))
        elif not form.shown and shown in (None, NOTHING_SHOWN):
            found.append(GuessedAnswer(name, annotator, said, guess, False))
    return found


def _form(row: _SentGuess | None) -> FormGuess | None:
    return None if row is None or row.label is None else FormGuess(row.label, row.shown, row.share)


def answered_with_one(conn: Connection) -> set[str]:
    """Ids of the samples that somebody answered on a form that showed a guess."""
    query = (
        select(_samples.c.id)
        .join(_votes, _votes.c.sample == _samples.c.pk)
        .where(_votes.c.shown.is_not(None), _votes.c.shown != NOTHING_SHOWN, _votes.c.rejected.is_(None), alive())
        .distinct()
    )
    return set(conn.execute(query).scalars())


def hidden(conn: Connection, project: Project, answered: Sequence[tuple[str, str, float | None]]) -> list[bool]:
    """Whether the form was to stay empty, for each (sample id, time, seconds taken); false where it is not known."""
    sent = _sent(conn, [project]) if answered else {}
    found = (_at(sent.get((project.origin_of, name), ()), _opened(at, seconds)) for name, at, seconds in answered)
    return [row is not None and row.label is not None and not row.shown for row in found]


def _sent(conn: Connection, of: Sequence[Project]) -> dict[tuple[str, str], list[_SentGuess]]:
    """What was sent with each task, oldest first, by what the origins of its answers begin with and its sample."""
    prefix = {project.pk: project.origin_of for project in of}
    query = (
        select(_guesses.c.project, _samples.c.id, _guesses.c.at, _guesses.c.label, _guesses.c.shown, _guesses.c.share)
        .join(_samples, _samples.c.pk == _guesses.c.sample)
        .where(_guesses.c.project.in_(list(prefix)))
        .order_by(_guesses.c.pk)
    )
    found: dict[tuple[str, str], list[_SentGuess]] = defaultdict(list)
    for project, name, at, label, shown, share in conn.execute(query):
        found[prefix[project], name].append(_SentGuess(datetime.fromisoformat(at), label, shown, share))
    return found


def _at(rows: Sequence[_SentGuess], opened: datetime | None) -> _SentGuess | None:
    """The row that held at a moment; ``None`` where there is none, or no moment."""
    return next((row for row in reversed(rows) if opened is not None and row.at <= opened), None)


def _opened(cast_at: str | None, seconds: float | None) -> datetime | None:
    """When somebody began to look who answered at ``cast_at`` after ``seconds``; ``None`` where no time is known."""
    cast = moment(cast_at)
    return cast and cast - timedelta(seconds=seconds or 0.0)
