"""What became of models: every event, and what was in use on a given day."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from emolab.results import Result, Table
from emolab.words import short

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emolab.catalog.registry.replay import ModelEvent
    from emolab.workspace import Workspace


@dataclass(frozen=True, slots=True)
class InUse:
    """``model`` (id) had the name ``alias`` from ``since`` to ``until`` (ISO 8601, UTC; ``None``: it still has it).

    ``actor`` and ``reason`` are those of the event that gave it the name.
    """

    alias: str
    model: str
    since: str
    until: str | None
    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class ModelHistory(Result):
    """``events`` in their order, and who was ``in_use``, oldest first; ``on``: the day or moment asked about."""

    on: str | None
    in_use: list[InUse]
    events: list[ModelEvent]

    def tables(self) -> list[Table]:
        """A row for each time a model had a name, and one for each event."""
        used = [[u.alias, u.model, u.since, u.until or "now", u.actor, u.reason] for u in self.in_use]
        told = [[e.at, e.kind, e.model, e.alias, e.actor, e.reason] for e in self.events]
        where = "" if self.on is None else f" on {self.on} (UTC)"
        return [
            Table(f"In use{where}", ("name", "model", "since", "until", "by", "reason"), used),
            Table("Events", ("at", "what", "model", "name", "by", "reason"), told),
        ]


def model_history(
    workspace: Workspace, model: str | None = None, *, alias: str | None = None, on: str | None = None
) -> ModelHistory:
    """All events of the models, or of the one that ``model`` means, and the times at which which model had which name.

    ``alias`` keeps one name. ``on`` is a day in UTC (2026-11-01) or a moment (2026-11-01T14:00+01:00): what was in use
    then. Raises :class:`DataError` for what is no day, and for one that has not begun.
    """
    from emolab.catalog import models
    from emolab.catalog.registry import model_events

    first, last = (None, None) if on is None else span(on)
    with workspace.catalog() as catalog, catalog.connect() as conn:
        wanted = None if model is None else models.get(conn, model).id
        events = model_events.read(conn)
    used = [
        one
        for one in times_in_use(events)
        if (wanted in (None, one.model)) and alias in (None, one.alias) and _overlaps(one, first, last)
    ]
    told = [
        event
        for event in events
        if (wanted in (None, event.model))
        and (alias is None or event.alias == alias)
        and (first is None or last is None or first <= event.at <= last)
    ]
    return ModelHistory(on, used, told)


def times_in_use(events: Sequence[ModelEvent]) -> list[InUse]:
    """From ``events`` in their order: who had which name from when to when, by name, oldest first."""
    from emolab.catalog.registry.replay import Registry

    registry = Registry()
    open_: dict[str, InUse] = {}
    done: list[InUse] = []
    for event in events:
        registry.take(event)
        now = registry.state().aliases
        for alias in {*open_, *now}:
            before = open_.get(alias)
            if before is not None and before.model == now.get(alias):
                continue
            if before is not None:
                done.append(_until(open_.pop(alias), event.at))
            if alias in now:
                open_[alias] = InUse(alias, now[alias], event.at, None, event.actor, event.reason)
    return sorted([*done, *open_.values()], key=lambda one: (one.alias != "champion", one.alias, one.since))


def span(on: str) -> tuple[str, str]:
    """The first and the last millisecond (ISO 8601, UTC) of a day, or twice the same moment.

    Raises :class:`DataError` for what is neither, and for what has not begun.
    """
    from emolab.errors import DataError

    try:
        found = datetime.fromisoformat(on.strip())
    except ValueError:
        raise DataError(
            f'"{on}" is neither a day nor a moment.', hint="Examples: --on 2026-11-01, --on 2026-11-01T14:00+01:00"
        ) from None
    begin = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    if begin > datetime.now(UTC):
        raise DataError(f"{on} has not begun yet (days are those of UTC).", hint="Give a day of the past, or today.")
    whole = len(on.strip()) <= len("2026-11-01")
    end = begin + timedelta(days=1) - timedelta(milliseconds=1) if whole else begin
    return _written(begin), _written(end)


def _overlaps(one: InUse, first: str | None, last: str | None) -> bool:
    if first is None or last is None:
        return True
    return one.since <= last and (one.until is None or one.until > first)


def _until(one: InUse, at: str) -> InUse:
    return replace(one, until=at)


def _written(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def in_words(one: InUse) -> str:
    """One line: who had the name, from when to when, by whom and why."""
    until = f"until {one.until[:16].replace('T', ' ')}" if one.until else "until now"
    by = f" by {one.actor}" if one.actor else ""
    return f"{short(one.model)} since {one.since[:16].replace('T', ' ')}{by} ({one.reason}), {until}"
