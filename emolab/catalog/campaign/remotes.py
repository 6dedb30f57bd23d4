"""What was sent to a labelling server: projects, and their tasks (the outbox).

A task goes ``pending`` (wanted) -> ``sending`` (a request is, or was, on its way) -> ``open`` (the server named its
task). ``reopening`` asks for one more opinion on an open task; ``deleted`` means that it is gone from the server. A row
left in ``sending`` has an unknown outcome: it is looked up, never sent again blindly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, func, select, update

from emolab.catalog.samples import keys
from emolab.catalog.storage import schema
from emolab.catalog.storage.chunks import chunks, insert_or_ignore
from emolab.catalog.storage.engine import now

_projects, _tasks = schema.projects, schema.remote_tasks
_samples, _answers = schema.samples, schema.remote_answers


@dataclass(frozen=True, slots=True)
class Project:
    """A project on a labelling server; ``window`` is what the last pull saw after ``cursor`` (the server's clock)."""

    pk: int
    server: str
    project: int
    title: str
    cursor: str | None
    window: Mapping[str, Any] | None
    pulls: int
    gone: bool

    @property
    def origin_of(self) -> str:
        """What the origins of all votes that came from this project begin with."""
        return f"studio:{self.server}:{self.project}:"

    def origin(self, annotation: int) -> str:
        """The origin of a vote that came from this annotation."""
        return f"{self.origin_of}{annotation}"


@dataclass(frozen=True, slots=True)
class ProjectTask:
    """One sample in one project: its task on the server, once known, and its place in emolab's order."""

    sample_id: str
    task: int | None
    state: str
    round: int | None
    rank: int | None
    overlap: int
    sent_at: str | None


@dataclass(frozen=True, slots=True)
class TaskRequest:
    """A sample to be labelled in a project by ``overlap`` people in all."""

    sample_id: str
    rank: int
    overlap: int
    round: int | None = None


def add_project(tx: Connection, *, server: str, project: int, title: str) -> Project:
    """The catalog's row for a project on a server, added when it is new; one thought gone is read in full."""
    row = {"server": server, "project": project, "title": title, "pulls": 0, "gone": False, "created_at": now()}
    insert_or_ignore(tx, _projects, [row])
    mine = and_(_projects.c.server == server, _projects.c.project == project)
    tx.execute(update(_projects).where(mine, _projects.c.title != title).values(title=title))
    tx.execute(update(_projects).where(mine, _projects.c.gone).values(gone=False, cursor=None, window=None))
    return next(p for p in projects(tx, server=server) if p.project == project)


def projects(conn: Connection, *, server: str | None = None) -> list[Project]:
    """Every known project, oldest first; of one server only when it is named."""
    columns = [_projects.c[name] for name in Project.__dataclass_fields__]
    query = select(*columns).order_by(_projects.c.pk)
    if server is not None:
        query = query.where(_projects.c.server == server)
    return [Project(*row) for row in conn.execute(query)]


def held(conn: Connection) -> dict[str, int]:
    """How many votes the last pull would have withdrawn, but held back, by the titles of their projects."""
    return {p.title: int(p.window["held"]) for p in projects(conn) if p.window and p.window.get("held") and not p.gone}


def set_cursor(tx: Connection, project: Project, cursor: str | None, window: Mapping[str, Any] | None) -> None:
    """Record how far answers were pulled; one more pull is counted."""
    values = {"cursor": cursor, "window": window, "pulls": _projects.c.pulls + 1}
    tx.execute(update(_projects).where(_projects.c.pk == project.pk).values(values))


def rewind(tx: Connection, project: Project, *, everything: bool) -> None:
    """Make the next pull look again at all that changed lately; with ``everything``, at every task."""
    values: dict[str, Any] = {"window": {**(project.window or {}), "seen": None}}
    if everything:
        values = {"cursor": None, "window": None}
    tx.execute(update(_projects).where(_projects.c.pk == project.pk).values(values))


def set_gone(tx: Connection, project: Project) -> None:
    """Record that the project was deleted on its server: nothing of it is pending any more; its votes stay."""
    tx.execute(update(_projects).where(_projects.c.pk == project.pk).values(gone=True))
    tx.execute(update(_tasks).where(_tasks.c.project == project.pk).values(state="deleted"))


def want(tx: Connection, project: Project, wanted: Sequence[TaskRequest]) -> int:
    """Write the intent to have samples labelled and return how many are new to the project.

    A sample that is in the project already only takes its new place in the order.
    """
    pk = keys(tx, [w.sample_id for w in wanted])
    known = _in_project(tx, project, list(pk.values()))
    rows = [
        {"project": project.pk, "sample": pk[w.sample_id], "state": "pending", "round": w.round, "rank": w.rank,
         "overlap": w.overlap}
        for w in wanted
    ]  # fmt: skip
    fresh = [row for row in rows if row["sample"] not in known]
    insert_or_ignore(tx, _tasks, fresh)
    _each(tx, project, [{"_sample": r["sample"], "round": r["round"], "rank": r["rank"]} for r in rows])
    return len(fresh)


def reopen(tx: Connection, project: Project, wanted: Sequence[TaskRequest]) -> int:
    """Write the intent to ask for more opinions on open tasks and return how many of the samples have one."""
    pk = keys(tx, [w.sample_id for w in wanted])
    known = _in_project(tx, project, list(pk.values()), states=("open", "reopening"))
    rows = [
        {"_sample": pk[w.sample_id], "state": "reopening", "overlap": w.overlap, "round": w.round, "rank": w.rank}
        for w in wanted
        if pk[w.sample_id] in known
    ]
    _each(tx, project, rows)
    return len(rows)


def set_state(tx: Connection, project: Project, sample_ids: Sequence[str], state: str) -> None:
    """Move tasks to another state; ``sending`` notes the time."""
    values: dict[str, Any] = {"state": state}
    if state == "sending":
        values["sent_at"] = now()
    pk = keys(tx, sample_ids)
    _each(tx, project, [{"_sample": pk[sample_id], **values} for sample_id in sample_ids])


def drop(tx: Connection, project: Project, sample_ids: Sequence[str]) -> None:
    """Know nothing any more of the tasks of these samples in the project, so that they may be sent again."""
    for part in chunks(list(keys(tx, sample_ids).values()), 500):
        tx.execute(delete(_tasks).where(_tasks.c.project == project.pk, _tasks.c.sample.in_(part)))


def set_ranks(tx: Connection, project: Project, ranks: Mapping[str, int]) -> None:
    """Give tasks other places within their rounds, by sample id; the next push keeps them."""
    pk = keys(tx, list(ranks))
    _each(tx, project, [{"_sample": pk[sample_id], "rank": rank} for sample_id, rank in ranks.items()])


def usual_overlap(conn: Connection) -> int | None:
    """How many people answer a task of the newest project, as most of its tasks have it; ``None`` without a task."""
    query = (
        select(_tasks.c.overlap)
        .join(_projects, _projects.c.pk == _tasks.c.project)
        .where(_tasks.c.state != "deleted", ~_projects.c.gone)
        .group_by(_projects.c.pk, _tasks.c.overlap)
        .order_by(_projects.c.pk.desc(), func.count().desc(), _tasks.c.overlap)
        .limit(1)
    )
    return conn.execute(query).scalar_one_or_none()


def set_overlap(tx: Connection, project: Project, overlap: int) -> None:
    """Record that every task of the project is now to be answered by ``overlap`` people."""
    tx.execute(update(_tasks).where(_tasks.c.project == project.pk).values(overlap=overlap))


def arrived(tx: Connection, project: Project, tasks: Mapping[str, int]) -> None:
    """Record the server's tasks by sample id."""
    pk = keys(tx, list(tasks))
    _each(tx, project, [{"_sample": pk[s], "task": task, "state": "open"} for s, task in tasks.items()])


def adopt(tx: Connection, project: Project, tasks: Mapping[str, int], *, overlap: int) -> int:
    """Record tasks by sample id that this catalog did not make (or does not know it made); return how many are new."""
    pk = keys(tx, list(tasks))
    known = _in_project(tx, project, list(pk.values()))
    rows = [
        {"project": project.pk, "sample": pk[s], "state": "open", "overlap": overlap, "sent_at": now()} for s in tasks
    ]
    insert_or_ignore(tx, _tasks, [row for row in rows if row["sample"] not in known])
    arrived(tx, project, tasks)
    return len(rows) - len(known)


def tasks(conn: Connection, project: Project, *states: str) -> list[ProjectTask]:
    """The project's tasks in these states (all when none is named): newest round first, then by rank."""
    columns = [_tasks.c[name] for name in ProjectTask.__dataclass_fields__ if name != "sample_id"]
    query = (
        select(_samples.c.id, *columns)
        .join(_samples, _samples.c.pk == _tasks.c.sample)
        .where(_tasks.c.project == project.pk)
        .order_by(func.coalesce(_tasks.c.round, 0).desc(), func.coalesce(_tasks.c.rank, 0), _tasks.c.sample)
    )
    if states:
        query = query.where(_tasks.c.state.in_(states))
    return [ProjectTask(*row) for row in conn.execute(query)]


def count_left_over(conn: Connection, title: str) -> int:
    """How many tasks of the projects with this title a push began with and has not brought to the server, as known."""
    query = select(func.count()).select_from(_tasks.join(_projects, _projects.c.pk == _tasks.c.project))
    on_their_way = _tasks.c.state.in_(("pending", "sending", "reopening"))
    return int(conn.execute(query.where(_projects.c.title == title, ~_projects.c.gone, on_their_way)).scalar_one())


def task_of(conn: Connection, project: Project, sample_id: str) -> int | None:
    """The server's task for a sample; ``None`` where there is none, or none any more."""
    query = (
        select(_tasks.c.task)
        .join(_samples, _samples.c.pk == _tasks.c.sample)
        .where(_tasks.c.project == project.pk, _samples.c.id == sample_id, _tasks.c.state != "deleted")
    )
    found: int | None = conn.execute(query).scalar()
    return found


def known_tasks(conn: Connection, project: Project) -> dict[int, str]:
    """Every task on the server that the catalog knows of, with its sample; deleted ones are left out."""
    query = (
        select(_answers.c.task, _samples.c.id)
        .join(_samples, _samples.c.pk == _answers.c.sample)
        .where(_answers.c.project == project.pk)
        .distinct()
    )
    found = {task: sample_id for task, sample_id in conn.execute(query)}
    found.update((t.task, t.sample_id) for t in tasks(conn, project, "open", "reopening") if t.task is not None)
    return found


def _in_project(
    conn: Connection, project: Project, pks: Sequence[int], states: Sequence[str] | None = None
) -> set[int]:
    found: set[int] = set()
    for part in chunks(pks, 500):
        query = select(_tasks.c.sample).where(_tasks.c.project == project.pk, _tasks.c.sample.in_(part))
        if states is not None:
            query = query.where(_tasks.c.state.in_(states))
        found.update(conn.execute(query).scalars())
    return found


def _each(tx: Connection, project: Project, rows: Sequence[Mapping[str, Any]]) -> None:
    """Change one task row per entry; ``_sample`` is its key, everything else a column."""
    if not rows:
        return
    columns = [name for name in rows[0] if name != "_sample"]
    statement = (
        update(_tasks)
        .where(_tasks.c.project == project.pk, _tasks.c.sample == bindparam("_sample"))
        .values({name: bindparam(f"new_{name}") for name in columns})
    )
    for part in chunks(rows, 1000):
        values = [{"_sample": r["_sample"], **{f"new_{name}": r[name] for name in columns}} for r in part]
        tx.execute(statement, values)
