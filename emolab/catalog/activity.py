"""How labelling goes: rounds and their progress, votes per sample, what each annotator did and how fast."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import Connection, and_, case, func, literal_column, or_, select

from emolab.catalog.storage import schema
from emolab.catalog.storage.chunks import chunks
from emolab.catalog.storage.plain_rows import plain_rows
from emolab.catalog.votes import alive, refusal
from emolab.records import SKIPPED, moment
from emolab.taxonomy import META

if TYPE_CHECKING:
    from numpy.typing import NDArray

_votes, _samples, _annotators = schema.votes, schema.samples, schema.annotators
#: Timed answers, newest first, that tell how fast the team is now.
_LATEST = 20_000
#: Earlier than every vote; and how nearly all times begin, so that most can be told from others in the database.
_FIRST, _USUAL = datetime(1970, 1, 2, tzinfo=UTC), "____-__-__%"


@dataclass(frozen=True)
class RoundProgress:
    """One round (``None``: sent without one), in samples: ``suggested``, ``sent``, ``answered`` at least once, and
    ``done``: answered by as many people as wanted. ``votes`` of ``wanted`` opinions have come back; ``surplus`` counts
    what people said beyond that, as when somebody answers who had the task open already.
    """

    round: int | None
    strategy: str | None
    suggested: int
    sent: int
    answered: int
    done: int
    votes: int
    wanted: int
    surplus: int = 0


@dataclass(frozen=True)
class Activity:
    """What one annotator did: ``votes`` for classes, ``meta`` answers, ``skips``, ``rejected`` ones.

    ``seconds`` is the median time per answer, ``None`` where no server measured it; ``last`` the time of the
    newest.
    """

    name: str
    kind: str
    votes: int
    meta: int
    skips: int
    rejected: int
    seconds: float | None
    last: str | None


def rounds(conn: Connection) -> list[RoundProgress]:
    """Every round that has suggestions or tasks, in order; samples sent without a round come first."""
    tasks = schema.remote_tasks
    proposed = suggested(conn)
    strategies: dict[int, str] = {
        key: value for key, value in conn.execute(select(schema.rounds.c.number, schema.rounds.c.strategy))
    }
    came = case((_samples.c.n_votes < tasks.c.overlap, _samples.c.n_votes), else_=tasks.c.overlap)
    query = (
        select(
            tasks.c.round,
            func.count(),
            func.sum(case((_samples.c.n_votes > 0, 1), else_=0)),
            func.sum(case((_samples.c.n_votes >= tasks.c.overlap, 1), else_=0)),
            func.sum(came),
            func.sum(tasks.c.overlap),
        )
        .join(_samples, _samples.c.pk == tasks.c.sample)
        .where(tasks.c.state != "deleted")
        .group_by(tasks.c.round)
    )
    sent = {row[0]: tuple(int(value) for value in row[1:]) for row in conn.execute(query)}
    more = _surplus(conn)
    found = []
    for number in sorted({*proposed, *sent}, key=lambda value: -1 if value is None else value):
        on_server, answered, done, votes, wanted = sent.get(number, (0, 0, 0, 0, 0))
        found.append(
            RoundProgress(
                round=number,
                strategy=None if number is None else strategies.get(number),
                suggested=proposed.get(number, 0),
                sent=on_server,
                answered=answered,
                done=done,
                votes=votes,
                wanted=wanted,
                surplus=more.get(number, 0),
            )
        )
    return found


def suggested(conn: Connection) -> dict[int, int]:
    """How many samples each round proposed, by its number."""
    number = schema.suggestions.c.round
    query = select(number, func.count()).group_by(number).order_by(number)
    return {int(key): int(n) for key, n in conn.execute(query)}


def _surplus(conn: Connection) -> dict[int | None, int]:
    """By round, how many answers of people (no data sets) its samples have beyond what was asked for."""
    tasks = schema.remote_tasks
    answers = (
        select(tasks.c.round, tasks.c.overlap, func.sum(_votes.c.count).label("people"))
        .select_from(tasks)
        .join(_samples, _samples.c.pk == tasks.c.sample)
        .join(_votes, _votes.c.sample == tasks.c.sample)
        .join(_annotators, _annotators.c.pk == _votes.c.annotator)
        .where(tasks.c.state != "deleted", _samples.c.n_votes > tasks.c.overlap, _annotators.c.kind == "person")
        .where(alive(), _votes.c.label.is_not(None), _votes.c.rejected.is_(None))
        .group_by(tasks.c.project, tasks.c.sample, tasks.c.round, tasks.c.overlap)
        .subquery()
    )
    over = answers.c.people - answers.c.overlap
    query = select(answers.c.round, func.sum(over)).where(over > 0).group_by(answers.c.round)
    return {number: int(n) for number, n in conn.execute(query)}


def votes_per_sample(conn: Connection) -> dict[int, int]:
    """How many samples have 0, 1, 2 ... people's answers (meta answers too)."""
    n = _samples.c.n_votes
    query = select(n, func.count()).where(schema.present).group_by(n).order_by(n)
    return {int(votes): int(count) for votes, count in conn.execute(query)}


def annotators(conn: Connection) -> list[Activity]:
    """Every annotator with active votes, in the order they came."""
    totals, last = dict[int, dict[str, int]](), dict[int, str | None]()
    label, refused = _votes.c.label, refusal()
    skipped = or_(refused == literal_column(f"'{SKIPPED}'"), and_(refused.is_(None), label.is_(None)))
    kinds = {
        "votes": and_(refused.is_(None), label.is_not(None), label.not_in(META)),
        "meta": and_(refused.is_(None), label.in_(META)),
        "skips": skipped,
        "rejected": refused == literal_column("'rejected'"),
    }
    sums = [func.sum(case((fits, _votes.c.count), else_=0)) for fits in kinds.values()]
    query = select(_votes.c.annotator, func.max(_votes.c.cast_at), *sums).where(alive()).group_by(_votes.c.annotator)
    for pk, newest, *counted in conn.execute(query):
        totals[pk] = {kind: int(n) for kind, n in zip(kinds, counted, strict=True)}
        last[pk] = newest
    times: dict[int, list[NDArray[np.float64]]] = defaultdict(list)
    timed = select(_votes.c.annotator, _votes.c.lead_time).where(alive(), _votes.c.lead_time.is_not(None))
    for rows in plain_rows(conn, timed):
        keys, seconds = (np.array(column) for column in zip(*rows, strict=True))
        for pk in np.unique(keys).tolist():
            times[pk].append(seconds[keys == pk])
    names = conn.execute(select(_annotators.c.pk, _annotators.c.name, _annotators.c.kind).order_by(_annotators.c.pk))
    return [
        Activity(
            name=name,
            kind=kind,
            **totals[pk],
            seconds=float(np.median(np.concatenate(times[pk]))) if pk in times else None,
            last=last[pk],
        )
        for pk, name, kind in names
        if pk in totals
    ]


def speeds(conn: Connection) -> list[float]:
    """The median seconds per answer of each person with timed answers among the team's latest 20,000."""
    query = (
        select(_votes.c.annotator, _votes.c.lead_time)
        .join(_annotators, _annotators.c.pk == _votes.c.annotator)
        .where(alive(), _votes.c.lead_time.is_not(None), _annotators.c.kind == "person")
        .order_by(_votes.c.pk.desc())
        .limit(_LATEST)
    )
    times: dict[int, list[float]] = defaultdict(list)
    for pk, seconds in conn.execute(query):
        times[pk].append(seconds)
    return [float(np.median(times[pk])) for pk in sorted(times)]


def _came_in(seen: str) -> datetime:
    """When a vote came in, which the catalog itself wrote."""
    return moment(seen) or _FIRST


def agreement_and_speed(conn: Connection, begin: str, end: str) -> tuple[list[float], list[float]]:
    """What people did from ``begin`` until before ``end`` (ISO 8601, UTC; an empty ``begin``: from the first vote on).

    The share that the commonest class of each sample got of its votes, of samples with a vote of that time that two or
    more had answered by its end; and the seconds of each vote of that time that was timed. A vote that came in from a
    file may have its time in another zone. One whose time cannot be read counts from when it came in.
    """
    since, until = moment(begin) or _FIRST, moment(end)
    if until is None:
        raise ValueError(f"no time: {end!r}")
    v = _votes.c
    people = _annotators.c.kind == "person"
    counting = (
        select(v.sample, v.label, v.lead_time, v.cast_at, v.seen_at, v.count)
        .join(_annotators, _annotators.c.pk == v.annotator)
        .where(alive(), v.rejected.is_(None), v.label.is_not(None), people)
    )
    first, last = (f"{time + timedelta(days=days):%Y-%m-%d}" for time, days in ((since, -1), (until, 2)))  # any zone
    near = or_(*(and_(first <= text, text < last) for text in (v.cast_at, v.seen_at)), v.cast_at.not_like(_USUAL))
    seconds, asked = [], set()
    for sample, _, lead_time, cast, seen, _ in conn.execute(counting.where(near)):
        if since <= (moment(cast) or _came_in(seen)) < until:
            asked.add(sample)
            seconds += [] if lead_time is None else [float(lead_time)]
    tallies: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for part in chunks(sorted(asked), 500):
        for sample, label, _, cast, seen, n in conn.execute(counting.where(v.sample.in_(part))):
            if label not in META and (moment(cast) or _came_in(seen)) < until:
                tallies[sample][label] += n
    shares = [max(counts.values()) / counts.total() for counts in tallies.values() if counts.total() > 1]
    return shares, seconds
