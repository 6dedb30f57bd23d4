"""Which annotations are on a labelling server, and who the people behind its user ids are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, String, bindparam, cast, delete, exists, func, literal, select, update

from emolab.catalog.campaign.remotes import Project
from emolab.catalog.samples import keys
from emolab.catalog.storage import schema
from emolab.catalog.storage.chunks import chunks, insert_or_ignore
from emolab.catalog.storage.engine import now
from emolab.catalog.votes import alive
from emolab.records import FormGuess

_answers, _users = schema.remote_answers, schema.remote_users
_samples, _annotators, _votes = schema.samples, schema.annotators, schema.votes
#: The columns that say which guess the form had.
_FORM = ("guess", "shown", "share")


@dataclass(frozen=True, slots=True)
class RecordedAnswer:
    """An annotation known to be on the server, with the pseudonym of who gave it, and the guess its form had.

    ``form`` is ``None`` where the answer does not tell it.
    """

    annotation: int
    task: int
    sample_id: str
    annotator: str
    form: FormGuess | None = None


def find(
    conn: Connection, project: Project, *, by_task: Sequence[int] = (), by_sample: Sequence[str] = ()
) -> list[RecordedAnswer]:
    """The answers known to be on the server for these tasks or samples."""
    query = (
        select(
            _answers.c.annotation,
            _answers.c.task,
            _samples.c.id,
            _annotators.c.name,
            _answers.c.guess,
            _answers.c.shown,
            _answers.c.share,
        )
        .join(_samples, _samples.c.pk == _answers.c.sample)
        .join(_annotators, _annotators.c.pk == _answers.c.annotator)
        .where(_answers.c.project == project.pk)
    )
    rows: list[Row[Any]] = []
    for part in chunks(by_task, 500):
        rows += conn.execute(query.where(_answers.c.task.in_(part)))
    for ids in chunks(by_sample, 500):
        rows += conn.execute(query.where(_samples.c.id.in_(ids)))
    return [
        RecordedAnswer(
            row.annotation,
            row.task,
            row.id,
            row.name,
            None if row.guess is None else FormGuess(row.guess, bool(row.shown), row.share),
        )
        for row in rows
    ]


def counts(conn: Connection, project: Project, *, besides: str | None = None) -> dict[str, int]:
    """How many answers each sample of the project has on the server; samples without one are left out.

    Answers whose vote was rejected for the reason ``besides`` are not counted, for example "skipped".
    """
    query = (
        select(_samples.c.id, func.count())
        .join(_samples, _samples.c.pk == _answers.c.sample)
        .where(_answers.c.project == project.pk)
        .group_by(_samples.c.id)
    )
    if besides is not None:
        origin = literal(project.origin_of) + cast(_answers.c.annotation, String)
        query = query.where(~exists().where(_votes.c.origin == origin, _votes.c.rejected == besides, alive()))
    return {key: value for key, value in conn.execute(query)}


def answered_by(conn: Connection, project: Project) -> dict[str, set[str]]:
    """The samples of the project that each annotator has answered or skipped on the server."""
    query = (
        select(_annotators.c.name, _samples.c.id)
        .join(_answers, _answers.c.annotator == _annotators.c.pk)
        .join(_samples, _samples.c.pk == _answers.c.sample)
        .where(_answers.c.project == project.pk)
    )
    found: dict[str, set[str]] = {}
    for name, sample in conn.execute(query):
        found.setdefault(name, set()).add(sample)
    return found


def known(conn: Connection, project: Project, among: Sequence[int]) -> set[int]:
    """Those of the annotations ``among`` that a pull has seen."""
    found: set[int] = set()
    for part in chunks(sorted(among), 500):
        query = select(_answers.c.annotation).where(_answers.c.project == project.pk, _answers.c.annotation.in_(part))
        found.update(conn.execute(query).scalars())
    return found


def by_task(conn: Connection, project: Project) -> dict[int, int]:
    """How many answers each task of the project is known to have on the server, skips included."""
    query = select(_answers.c.task, func.count()).where(_answers.c.project == project.pk).group_by(_answers.c.task)
    return {task: number for task, number in conn.execute(query)}


def add(tx: Connection, project: Project, seen: Sequence[RecordedAnswer], annotator_keys: Mapping[str, int]) -> None:
    """Remember answers that are on the server; known ones stay as they are."""
    pk = keys(tx, list({answer.sample_id for answer in seen}))
    rows = [
        {"project": project.pk, "annotation": a.annotation, "task": a.task, "sample": pk[a.sample_id],
         "annotator": annotator_keys[a.annotator], **_form(a)}
        for a in seen
    ]  # fmt: skip
    insert_or_ignore(tx, _answers, rows)


def tell_forms(tx: Connection, project: Project, seen: Iterable[RecordedAnswer]) -> None:
    """Remember which guess the forms of known answers had."""
    statement = (
        update(_answers)
        .where(_answers.c.project == project.pk, _answers.c.annotation == bindparam("_annotation"))
        .values({name: bindparam(f"new_{name}") for name in _FORM})
    )
    rows = [
        {"_annotation": answer.annotation, **{f"new_{name}": value for name, value in _form(answer).items()}}
        for answer in seen
    ]
    if rows:
        tx.execute(statement, rows)


def _form(answer: RecordedAnswer) -> dict[str, Any]:
    form = answer.form
    return dict.fromkeys(_FORM) if form is None else dict(zip(_FORM, (form.label, form.shown, form.share), strict=True))


def forms(conn: Connection, of: Sequence[Project]) -> dict[str, FormGuess]:
    """The guesses of the forms on which answers were given that tell it, by the answers' origins."""
    origin = {project.pk: project.origin for project in of}
    query = select(
        _answers.c.project, _answers.c.annotation, _answers.c.guess, _answers.c.shown, _answers.c.share
    ).where(_answers.c.guess.is_not(None), _answers.c.project.in_(list(origin)))
    return {
        origin[project](annotation): FormGuess(guess, bool(shown), share)
        for project, annotation, guess, shown, share in conn.execute(query)
    }


def forget(tx: Connection, project: Project, annotations: Iterable[int]) -> None:
    """Note that these answers are no longer on the server."""
    for part in chunks(sorted(annotations), 500):
        tx.execute(delete(_answers).where(_answers.c.project == project.pk, _answers.c.annotation.in_(part)))


def people(conn: Connection, server: str) -> dict[int, str]:
    """Pseudonyms by the server's user ids."""
    query = select(_users.c.user, _annotators.c.name).join(_annotators, _annotators.c.pk == _users.c.annotator)
    return {key: value for key, value in conn.execute(query.where(_users.c.server == server))}


def users(conn: Connection) -> dict[str, list[int]]:
    """The labelling servers' user ids by pseudonym."""
    query = select(_annotators.c.name, _users.c.user).join(_annotators, _annotators.c.pk == _users.c.annotator)
    found: dict[str, list[int]] = {}
    for name, user in conn.execute(query.order_by(_users.c.user)):
        found.setdefault(name, []).append(user)
    return found


def add_people(tx: Connection, server: str, pseudonyms: Mapping[int, str], annotator_keys: Mapping[str, int]) -> None:
    """Remember who is behind which user id; the first pseudonym of a user stays for ever."""
    moment = now()
    rows = [
        {"server": server, "user": user, "annotator": annotator_keys[name], "first_seen": moment}
        for user, name in pseudonyms.items()
    ]
    if rows:
        insert_or_ignore(tx, _users, rows)
