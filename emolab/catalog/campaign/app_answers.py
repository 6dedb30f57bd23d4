"""Answers that people give in the app, on their way to the labelling server: each has an id that the page made.

An answer goes ``pending`` (given) -> ``sending`` (a request is, or was, on its way) -> ``sent`` (the server named its
annotation), or ``refused`` (the server will never take it; ``problem`` says why). Taking an answer back is a row of its
own that names it in ``undoes``; the answer is ``undone`` from then on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, exists, func, insert, select, update

from emolab.catalog.campaign.remotes import Project
from emolab.catalog.samples import keys
from emolab.catalog.storage import schema
from emolab.catalog.storage.chunks import chunks
from emolab.catalog.storage.engine import now
from emolab.records import FormGuess
from emolab.words import many

_rows, _samples, _seen = schema.app_answers, schema.samples, schema.remote_answers

#: Not on the server yet, as far as is known.
WAITING = ("pending", "sending")


@dataclass(frozen=True, slots=True, kw_only=True)
class AppAnswer:
    """One answer of ``person``; ``label`` is ``None`` for a skip, ``also`` holds further labels.

    ``stars`` are 1 to 3, ``form`` the guess it had.
    """

    id: str
    person: str
    sample_id: str
    label: str | None = None
    second: str | None = None
    stars: int | None = None
    seconds: float | None = None
    form: FormGuess | None = None
    undoes: str | None = None
    project: int = 0
    at: str = ""
    state: str = "pending"
    annotation: int | None = None
    problem: str | None = None
    undone: bool = False
    also: tuple[str, ...] = ()

    @property
    def skipped(self) -> bool:
        """Whether the person did not want to judge."""
        return self.label is None and self.undoes is None


@dataclass(frozen=True, slots=True)
class AppCounts:
    """How many answers are ``waiting`` for the labelling server, and how many it ``refused``."""

    waiting: int
    refused: int

    def lines(self) -> list[str]:
        """What to know about them; nothing where all is well.

        >>> AppCounts(2, 0).lines()
        ['2 answers of the app wait for Label Studio; "emolab label pull" sends them']
        """
        found = []
        if self.waiting:
            verb = "waits" if self.waiting == 1 else "wait"
            text = f"{many(self.waiting, 'answer')} of the app {verb} for Label Studio"
            found.append(f'{text}; "emolab label pull" sends them')
        if self.refused:
            found.append(f"Label Studio refused {many(self.refused, 'answer')} of the app: no vote")
        return found


def add(tx: Connection, project: Project, answer: AppAnswer) -> None:
    """Store an answer; its id must be new."""
    form = answer.form
    tx.execute(
        insert(_rows).values(
            id=answer.id,
            person=answer.person,
            project=project.pk,
            sample=keys(tx, [answer.sample_id])[answer.sample_id],
            label=answer.label,
            second=answer.second,
            stars=answer.stars,
            seconds=answer.seconds,
            guess=None if form is None else form.label,
            shown=None if form is None else form.shown,
            share=None if form is None else form.share,
            at=now(),
            state=answer.state,
            undoes=answer.undoes,
            also=list(answer.also) or None,
        )
    )


def find(conn: Connection, answer_id: str) -> AppAnswer | None:
    """The answer with this id."""
    return next(iter(_read(conn, _query().where(_rows.c.id == answer_id))), None)


def waiting(conn: Connection) -> list[AppAnswer]:
    """Everything that is not on the server yet, in the order it was given; what was taken back before is left out."""
    query = _query().where(_rows.c.state.in_(WAITING)).order_by(_rows.c.pk)
    return [one for one in _read(conn, query) if not (one.undone and one.state == "pending")]


def of_person(conn: Connection, person: str, *, sample_id: str | None = None, most: int = 1) -> list[AppAnswer]:
    """The last answers of a person that count or will, the newest first; only about one sample when it is named."""
    query = _query().where(
        _rows.c.person == person, ~_rows.c.undone, _rows.c.undoes.is_(None), _rows.c.state != "refused"
    )
    if sample_id is not None:
        query = query.where(_samples.c.id == sample_id)
    return _read(conn, query.order_by(_rows.c.pk.desc()).limit(most))


def took_back(conn: Connection, person: str, sample_id: str) -> bool:
    """Whether a person has ever taken an answer about a sample back: what pulls told of it may be that one."""
    query = _query().where(_rows.c.person == person, _samples.c.id == sample_id, _rows.c.undone)
    return bool(_read(conn, query.limit(1)))


def of_project(conn: Connection, project: Project) -> list[AppAnswer]:
    """All answers to tasks of a project that count or will."""
    query = _query().where(
        _rows.c.project == project.pk, ~_rows.c.undone, _rows.c.undoes.is_(None), _rows.c.state != "refused"
    )
    return _read(conn, query)


def settle(
    tx: Connection,
    answer_id: str,
    state: str,
    *,
    before: Sequence[str],
    annotation: int | None = None,
    problem: str | None = None,
) -> bool:
    """Move an answer that is in one of the states ``before`` to ``state``; whether it was in one of them."""
    values: dict[str, Any] = {"state": state, "problem": problem}
    if annotation is not None:
        values["annotation"] = annotation
    mine = update(_rows).where(_rows.c.id == answer_id, _rows.c.state.in_(before))
    return tx.execute(mine.values(values)).rowcount > 0


def take_back(tx: Connection, answer_id: str) -> bool:
    """Note that an answer does not count any more; whether it did until now."""
    mine = update(_rows).where(_rows.c.id == answer_id, ~_rows.c.undone)
    return tx.execute(mine.values(undone=True)).rowcount > 0


def counts(conn: Connection) -> AppCounts:
    """How many answers wait for the server, and how many it refused."""
    found: dict[str, int] = {
        state: n for state, n in conn.execute(select(_rows.c.state, func.count()).group_by(_rows.c.state))
    }
    gone = select(func.count()).where(_rows.c.undone, _rows.c.state == "pending")
    waits = sum(found.get(state, 0) for state in WAITING) - conn.execute(gone).scalar_one()
    return AppCounts(waits, found.get("refused", 0))


def written_through(conn: Connection, project: Project, among: Iterable[int]) -> set[int]:
    """Those of the annotations ``among`` that this catalog has written through for somebody in the app."""
    found: set[int] = set()
    for part in chunks(sorted(among), 500):
        query = select(_rows.c.annotation).where(_rows.c.project == project.pk, _rows.c.annotation.in_(part))
        found.update(conn.execute(query).scalars())
    return found


def taken_back(conn: Connection, project: Project, among: Iterable[int]) -> set[int]:
    """Those of the annotations ``among`` that somebody in the app has taken back."""
    found: set[int] = set()
    for part in chunks(sorted(among), 500):
        mine = (_rows.c.project == project.pk, _rows.c.annotation.in_(part), _rows.c.undone)
        found.update(conn.execute(select(_rows.c.annotation).where(*mine)).scalars())
    return found


def unread(conn: Connection) -> bool:
    """Whether an answer is on the server that no pull has seen yet."""
    seen = exists().where(_seen.c.project == _rows.c.project, _seen.c.annotation == _rows.c.annotation)
    query = select(_rows.c.pk).where(_rows.c.state == "sent", _rows.c.undoes.is_(None), ~_rows.c.undone, ~seen)
    return conn.execute(query.limit(1)).first() is not None


def _query() -> Select[Any]:
    names = ("id", "person", "project", "label", "second", "stars", "seconds", "guess", "shown", "share", "at",
             "state", "annotation", "problem", "undoes", "undone", "also")  # fmt: skip
    columns = [_rows.c[name] for name in names]
    return select(_samples.c.id.label("sample_id"), *columns).join(_samples, _samples.c.pk == _rows.c.sample)


def _read(conn: Connection, query: Select[Any]) -> list[AppAnswer]:
    return [_answer(row) for row in conn.execute(query)]


def _answer(row: Row[Any]) -> AppAnswer:
    values = dict(row._mapping)
    guess, shown, share = (values.pop(name) for name in ("guess", "shown", "share"))
    form = None if guess is None else FormGuess(guess, bool(shown), share)
    return AppAnswer(form=form, **{**values, "undone": bool(values["undone"]), "also": tuple(values["also"] or ())})
