"""The last collect, merge or split taken back, as far as nothing depends on it.

1. Samples that it brought go, unless they are in the holdout, in a project of Label Studio, or others voted on them.
2. Votes that it brought no longer count, and those that it ended count again.
3. Splits, groups and representatives that it changed are what they were before, where nothing changed them since.
4. **What a model has learned from since stays as it is**, with its votes and its split: another split would let that
   model be judged on what it knows. A retired model is none of these.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import select, update

from emolab.catalog import events, removal, samples, votes
from emolab.catalog.storage import actions, schema, vote_rows
from emolab.catalog.storage.chunks import chunks
from emolab.catalog.storage.engine import now
from emolab.errors import DataError
from emolab.records import HOLDOUT

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from emolab.records import Vote

#: The reason in the tombstones of the votes.
REASON = "undone"
#: Why samples stay, in words.
LEARNED, HELD, SENT, VOTED = (
    "a model has learned from them",
    "they are in the holdout",
    "they are in a Label Studio project",
    "others voted on them",
)
#: Columns of samples that are put back.
_COLUMNS = (actions.SPLIT, actions.GROUP, actions.REPRESENTATIVE)
#: What an event is called after which nothing is taken back.
_RESTORED = "snapshot restored"

_samples, _votes = schema.samples, schema.votes
_Values = dict[int, tuple[str | None, str | None]]
#: Of a sample: its id, split, group and representative.
_Row = tuple[str, str | None, str | None, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class LastAction:
    """A command that can be taken back: its ``key``, ``kind`` (collect, merge, split), ``about`` what, ``at`` when."""

    key: int
    kind: str
    about: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeBack:
    """What taking ``action`` back does.

    ``gone`` samples (ids), ``withdrawn`` votes (origins), votes that count ``again`` (by key, with the kind of
    annotator), ``columns`` put back (column -> key -> value), and ``kept`` samples by why they stay.
    """

    action: LastAction
    gone: Sequence[str]
    withdrawn: Sequence[str]
    again: Mapping[int, tuple[Vote, str]]
    columns: Mapping[str, Mapping[int, str | None]]
    kept: Mapping[str, int] = field(default_factory=dict)

    @property
    def nothing(self) -> bool:
        """Whether nothing would change."""
        return not (self.gone or self.withdrawn or self.again or any(self.columns.values()))


def last_action(conn: Connection) -> LastAction:
    """The newest action that was not taken back.

    Raises :class:`DataError` where there is none, and where a state of the data was restored since.
    """
    table = schema.actions.c
    query = select(table.pk, table.kind, table.about, table.at).where(table.undone_at.is_(None))
    row = conn.execute(query.order_by(table.pk.desc()).limit(1)).one_or_none()
    if row is None:
        raise DataError(
            "There is nothing to take back: no collect, merge or split that changed something is left.",
            hint="Take samples out with: emolab remove --source NAME",
        )
    (restored,) = events.latest(conn, _RESTORED, limit=1) or (None,)
    if restored is not None and restored["at"] > row.at:
        raise DataError(
            f"A snapshot of the data was restored after the last {row.kind}, so there is nothing to take back.",
            hint="Go to another state: emolab snapshot list",
        )
    return LastAction(key=row.pk, kind=row.kind, about=row.about, at=row.at)


def plan(conn: Connection, action: LastAction, *, learned: Collection[str]) -> TakeBack:
    """What taking ``action`` back would do; ``learned`` are the samples (ids) that models learned from since.

    Raises :class:`DataError` for a split that a model has learned by.
    """
    changed = actions.changes(conn, action.key)
    rows = _touched(conn, changed)
    fixed = {key for key, row in rows.items() if row[0] in learned}
    moved = changed.get(actions.SPLIT, {})
    if action.kind == "split" and not fixed.isdisjoint(moved):
        raise DataError(
            f"A model has learned by the splits that would be taken back ({len(fixed & moved.keys()):,} samples).",
            hint="Draw others: emolab split draw; or give the model up first: emolab models retire MODEL",
        )
    kept: Counter[str] = Counter({LEARNED: len(fixed)})
    added = {key: rows[key][0] for key in changed.get(actions.ADDED, {}) if key in rows and key not in fixed}
    own = _own_votes(conn, changed.get(actions.VOTED, {}))
    gone, why = _going(conn, rows, added, own)
    kept.update(why)
    going = {key for key, name in added.items() if name in gone}
    withdrawn = [origin for origin, sample in own.values() if sample not in fixed]
    columns = {column: _put_back(rows, changed.get(column, {}), column, fixed | going) for column in _COLUMNS}
    columns[actions.SPLIT] = {key: value for key, value in columns[actions.SPLIT].items() if key not in added}
    alike = columns[actions.REPRESENTATIVE]
    there = samples.keys(conn, sorted({value for value in alike.values() if value is not None})).keys() - gone.keys()
    columns[actions.REPRESENTATIVE] = {key: value if value in there else None for key, value in alike.items()}
    ended = changed.get(actions.ENDED, {}).keys() - changed.get(actions.VOTED, {}).keys()
    again = _again(conn, ended, fixed | going, set(withdrawn))
    return TakeBack(action=action, gone=list(gone), withdrawn=withdrawn, again=again, columns=columns, kept=+kept)


def carry_out(tx: Connection, found: TakeBack) -> None:
    """Do what ``found`` says. Raises :class:`DataError` where the action was taken back meanwhile."""
    table = schema.actions
    here = update(table).where(table.c.pk == found.action.key, table.c.undone_at.is_(None))
    if not tx.execute(here.values(undone_at=now())).rowcount:
        raise DataError(f"The last {found.action.kind} was taken back meanwhile.", hint="emolab undo --dry-run")
    votes.withdraw(tx, found.withdrawn, REASON)
    removal.carry_out(tx, removal.Removal(found.gone, (), (), (), 0))
    for kind in sorted({kind for _, kind in found.again.values()}):
        votes.append(tx, [vote for vote, its in found.again.values() if its == kind], kind=kind)
    now_as = votes.alive_among(tx, [vote.origin for vote, _ in found.again.values()])
    actions.inherit(tx, {key: now_as[vote.origin] for key, (vote, _) in found.again.items()})
    for column, values in found.columns.items():
        samples.put_back(tx, column, values)
    detail = {"what": found.action.kind, "samples": len(found.gone), "votes": len(found.withdrawn)}
    events.record(tx, "undo", {**detail, "kept": sum(found.kept.values())})


def _touched(conn: Connection, changed: Mapping[str, _Values]) -> dict[int, _Row]:
    """Key -> id, split, group and representative of the samples, still there, that the action changed or voted on."""
    keys = {key for what in (actions.ADDED, *_COLUMNS) for key in changed.get(what, {})}
    about = {*changed.get(actions.VOTED, {}), *changed.get(actions.ENDED, {})}
    for part in chunks(sorted(about), 500):
        keys.update(conn.execute(select(_votes.c.sample).where(_votes.c.pk.in_(part))).scalars())
    found = {}
    columns = (_samples.c.pk, _samples.c.id, _samples.c.split, _samples.c.group, _samples.c.representative)
    for part in chunks(sorted(keys), 500):
        for key, *rest in conn.execute(select(*columns).where(_samples.c.pk.in_(part), schema.present)):
            found[key] = tuple(rest)
    return found


def _own_votes(conn: Connection, keys: Collection[int]) -> dict[int, tuple[str, int]]:
    """Of the votes that the action brought, those that count: key -> origin and key of the sample."""
    found = {}
    for part in chunks(sorted(keys), 500):
        query = select(_votes.c.pk, _votes.c.origin, _votes.c.sample).where(_votes.c.pk.in_(part), votes.alive())
        found.update({pk: (origin, sample) for pk, origin, sample in conn.execute(query)})
    return found


def _going(
    conn: Connection,
    rows: Mapping[int, _Row],
    added: Mapping[int, str],
    own: Mapping[int, tuple[str, int]],
) -> tuple[dict[str, None], Counter[str]]:
    """Which of the samples that the action ``added`` go (ids), and how many stay for which reason."""
    sent = removal.sent(conn, list(added.values()))
    voted: set[int] = set()
    for part in chunks(sorted(added), 500):
        query = select(_votes.c.pk, _votes.c.sample).where(_votes.c.sample.in_(part), votes.alive())
        voted.update(sample for pk, sample in conn.execute(query) if pk not in own)
    gone: dict[str, None] = {}
    kept: Counter[str] = Counter()
    for key, name in added.items():
        why = HELD if rows[key][1] == HOLDOUT else SENT if name in sent else VOTED if key in voted else None
        if why is None:
            gone[name] = None
        else:
            kept[why] += 1
    return gone, kept


def _put_back(
    rows: Mapping[int, _Row],
    changed: _Values,
    column: str,
    without: Collection[int],
) -> dict[int, str | None]:
    """The values of ``column`` from before, of samples whose value nothing changed since; the holdout is for good."""
    place = 1 + _COLUMNS.index(column)
    return {
        key: before
        for key, (before, after) in changed.items()
        if key in rows and key not in without and rows[key][place] == after != before
        and not (column == actions.SPLIT and after == HOLDOUT)
    }  # fmt: skip


def _again(
    conn: Connection, ended: Collection[int], without: Collection[int], withdrawn: Collection[str]
) -> dict[int, tuple[Vote, str]]:
    """The votes that the action ended, with the kinds of their annotators, whose origin says nothing else by then."""
    found: dict[int, tuple[Vote, str]] = {}
    a = schema.annotators
    for part in chunks(sorted(ended), 500):
        query = (
            select(_votes.c.pk, _votes.c.sample, a.c.kind, _samples.c.id, a.c.name, *vote_rows.COLUMNS)
            .join(_samples, _samples.c.pk == _votes.c.sample)
            .join(a, a.c.pk == _votes.c.annotator)
            .where(_votes.c.pk.in_(part), schema.present)
        )
        found.update(
            (key, (vote_rows.vote(tuple(row)), kind))
            for key, sample, kind, *row in conn.execute(query)
            if sample not in without
        )
    taken = votes.alive_among(conn, [vote.origin for vote, _ in found.values()]).keys() - set(withdrawn)
    return {key: pair for key, pair in found.items() if pair[0].origin not in taken}
