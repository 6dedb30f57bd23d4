"""`emolab monitor`: looks at the windows that have ended since the last call, and tells the team of alarms."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emolab.loop.operate.monitor.look_words import TEST_COLUMNS, audit_words, estimate_words, test_rows
from emolab.progress import SILENT
from emolab.results import Result, Table, plain_data
from emolab.words import many, short

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emolab.loop.operate.monitor.look_record import LookRecord
    from emolab.loop.operate.monitor.seen_windows import LogSummary
    from emolab.loop.operate.monitor.watch_reference import WatchReference
    from emolab.loop.operate.monitor.watched_model import WatchedModel
    from emolab.monitoring.alerts.alarm import Alarm
    from emolab.monitoring.alerts.send import Delivery
    from emolab.progress import Progress
    from emolab.workspace import Workspace

#: What a call comes to: the newest look is quiet, or has an alarm, or no window has ended yet.
QUIET, ALARM, WAITING = "quiet", "alarm", "waiting"
#: The page, beside the looks.
PAGE = "report.html"


@dataclass(frozen=True, kw_only=True)
class Monitored(Result):
    """What is known of ``model`` (id) at work: its ``looks``, oldest first, of which the last ``new`` were taken now.

    ``alarms`` are those that hold at the newest look, ``told`` who was told of them, ``judged`` the accuracy that the
    model had when it was judged (``None``: unknown), ``power`` in words what drop would be seen how soon.
    """

    model: str
    name: str
    outcome: str
    reference: str
    every: str
    new: int
    looks: tuple[LookRecord, ...]
    alarms: tuple[Alarm, ...] = ()
    told: tuple[Delivery, ...] = ()
    judged: float | None = None
    power: str = ""
    notes: tuple[str, ...] = ()
    report: Path | None = None

    @property
    def newest(self) -> LookRecord | None:
        """The look at the newest window."""
        return self.looks[-1] if self.looks else None

    def to_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {
            **{name: plain_data(value) for name, value in vars(self).items()},
            "looks": [look.to_dict() for look in self.looks],
            "alarms": [alarm.to_dict() for alarm in self.alarms],
            "told": [delivery.to_dict() for delivery in self.told],
        }

    def tables(self) -> list[Table]:
        """What there is to know first, the tests of the newest look, and one row a look."""
        head: list[tuple[str, Any]] = [
            ("model", short(self.model)), ("outcome", self.outcome), ("reference", self.reference),
            ("estimated accuracy", estimate_words(self.newest, self.judged)),
            ("audited accuracy", audit_words(self.looks, self.every)), ("power", self.power),
            ("notes", "; ".join(self.notes)), ("report", str(self.report or "")),
        ]  # fmt: skip
        found = [Table("Monitor", (), [row for row in head if row[1]])]
        if self.newest is not None and self.newest.tests:
            found.append(Table(f"Newest look: {self.newest.window.name}", TEST_COLUMNS, test_rows(self.newest)))
        rows = [
            (look.window.name, look.window.n, len({test.detector for test in look.tests if test.alarm}),
             estimate_words(look, None))
            for look in reversed(self.looks)
        ]  # fmt: skip
        return [
            *found,
            *([Table("Looks", ("window", "answers", "alarms", "estimated accuracy"), rows)] if rows else []),
        ]


def monitor(
    workspace: Workspace,
    model: str = "champion",
    *,
    reference: str | None = None,
    every: str | None = None,
    report: str | Path | None = None,
    now: datetime | None = None,
    progress: Progress = SILENT,
) -> Monitored:
    """Look at each window that has ended since the last call, once; tell the team of what the newest look raises.

    ``model`` is a name, the start of an id, or a network that comes with emolab. ``reference`` is judged, valid, test,
    holdout, first, or days FROM..TO, both included; another one than before, or another ``every`` (day, week), begins a
    new watch. The page is written to ``report`` [beside the looks]. Raises :class:`DataError` where nothing was logged
    or the reference is too small.
    """
    from emolab.loop.operate.monitor import look_record, seen_windows, watch_reference
    from emolab.loop.operate.monitor.watched_model import watched_model

    moment = now or datetime.now(UTC)
    with workspace.lock("monitor"):
        watched = watched_model(workspace, model)
        asked = _settings(workspace, watched, reference, every)
        ended = watch_reference.drop_barred(workspace, watched.id)
        found = seen_windows.summary(watched.log, every=asked[1], now=moment, days=workspace.config.serve.log_days)
        run = _Run(workspace=workspace, watched=watched, found=found, now=moment, progress=progress, ended=ended)
        if not found.finished and look_record.latest(workspace, watched.id) is None:
            return _waiting(run, asked)
        return _looked(run, asked, report)


@dataclass(frozen=True, kw_only=True)
class _Run:
    """One call: the model, what its log holds, the present moment, and how many rows of the reference went because
    the consent of their samples has ended."""

    workspace: Workspace
    watched: WatchedModel
    found: LogSummary
    now: datetime
    progress: Progress
    ended: int


def _looked(run: _Run, asked: tuple[str, str], report: str | Path | None) -> Monitored:
    """Take the looks that are due, settle audits, tell people, and write the page."""
    from emolab.loop.operate.alerting import tell_alarms
    from emolab.loop.operate.monitor import look_record, seen_windows
    from emolab.loop.operate.monitor.audit_round import settle
    from emolab.loop.operate.monitor.take_looks import LookTaker, power_words

    workspace, watched = run.workspace, run.watched
    watch, begun = _reference(run, asked)
    looked = look_record.read(workspace, watched.id)
    windows = [window for window in run.found.finished if watch.begins is None or window.begin >= watch.begins]
    late = seen_windows.late({look.window.begin: look.window.n for look in looked}, windows)
    taken = LookTaker(workspace=workspace, watched=watched, reference=watch).take(looked, windows, run.progress)
    waiting = settle(workspace, watched, watch, look_record.read(workspace, watched.id))
    looks = tuple(look_record.read(workspace, watched.id))
    notes = [*_notes_of_log(run, watch.every), *begun, *waiting]
    if run.ended:
        notes.append(f"{many(run.ended, 'row')} of the reference went: the consent of these samples has ended")
    last = [
        (datetime.fromisoformat(look.window.begin), datetime.fromisoformat(look.window.end)) for look in looked[-1:]
    ]
    if lost := seen_windows.gone(last, windows):
        notes.append(lost)
    if late:
        notes.append(f"{many(late, 'answer')} came into windows after they were looked at: a clock was set back")
    if not looks:
        notes.append("no window has ended since the reference")
    if earlier := [look.window.name for look in taken[:-1] if look.alarms]:
        which = f"{', '.join(earlier[:3])}{f' and {len(earlier) - 3} more' if len(earlier) > 3 else ''}"
        notes.append(f"of the windows looked at now, these had alarms too: {which}")
    if watch.judged is None:
        notes.append(f"accuracy is not estimated: {watch.unjudged}")
    elif watch.seen.thresholds:
        notes.append("accuracy is how often the likeliest class is one of the labels of a sample")
    alarms = alarms_now(looks)
    done = Monitored(
        model=watched.id,
        name=watched.name,
        outcome=ALARM if alarms else QUIET if looks else WAITING,
        reference=watch.words,
        every=watch.every,
        new=len(taken),
        looks=looks,
        alarms=tuple(alarms),
        told=tuple(tell_alarms(workspace, watched.id, alarms, now=run.now)),
        judged=watch.accuracy,
        power=power_words(workspace, watch),
        notes=tuple(notes),
    )
    return done if not looks else _with_page(run, watch, done, report)


def _with_page(run: _Run, watch: WatchReference, done: Monitored, report: str | Path | None) -> Monitored:
    """Write the page of ``done`` to ``report`` [beside the looks]."""
    from emolab.loop.look.moved_record import write_moved
    from emolab.loop.operate.monitor import look_record
    from emolab.loop.operate.monitor.arrived_samples import moved_pictures, thumbnails_of
    from emolab.loop.operate.monitor.monitor_page import write_report
    from emolab.loop.operate.monitor.take_looks import columns_seen

    workspace = run.workspace
    path = look_record.home(workspace, done.model) / PAGE if report is None else Path(report).expanduser()
    moved = moved_pictures(workspace, run.watched, watch, done.looks[-1], progress=run.progress)
    write_moved(workspace, done.looks[-1], moved)
    wanted = [*(one for one, _, _ in moved.loudest), *moved.beside]
    missing: list[str] = []
    pictures = thumbnails_of(workspace, wanted, lambda one: missing.append(one.id))
    write_report(done, reference=columns_seen(watch.seen), moved=moved, pictures=pictures, path=path)
    lost = (f"{many(len(missing), 'picture')} of the page cannot be shown",) if missing else ()
    return replace(done, report=path, notes=(*done.notes, *lost))


def alarms_now(looks: Sequence[LookRecord]) -> list[Alarm]:
    """The alarms that hold."""
    from emolab.loop.operate.monitor.look_record import alarms_that_hold
    from emolab.monitoring.alerts.alarm import Alarm

    return [Alarm.from_dict(alarm) for alarm in alarms_that_hold(looks)]


def _settings(workspace: Workspace, watched: WatchedModel, reference: str | None, every: str | None) -> tuple[str, str]:
    """Reference and length of the windows: as asked for, else as the watch has them, else as the settings say.

    Raises :class:`ConfigError` for what is neither.
    """
    import numpy as np

    from emolab.loop.operate.monitor import watch_reference
    from emolab.monitoring.windows import windows

    kept = watch_reference.kept(workspace, watched.id)
    settings = workspace.config.monitor
    asked = reference or (settings.reference if kept is None else kept.asked)
    length = every or (settings.every if kept is None else kept.every)
    windows(np.empty(0), length)
    watch_reference.check_asked(asked)
    return asked, length


def _reference(run: _Run, asked: tuple[str, str]) -> tuple[WatchReference, tuple[str, ...]]:
    """The reference of the watch, and what is to be said where a new watch begins."""
    from emolab.loop.operate.monitor import look_record, watch_reference

    workspace, watched = run.workspace, run.watched
    kept = watch_reference.kept(workspace, watched.id)
    if kept is not None and (kept.asked, kept.every) == asked:
        same = watch_reference.with_new_labels(workspace, watched, kept, progress=run.progress)
        return same, _for_a_new_watch(run, same)
    made = watch_reference.begin(
        workspace, watched, asked=asked[0], every=asked[1], finished=run.found.finished, progress=run.progress
    )
    home = look_record.home(workspace, watched.id)
    earlier = "" if kept is None else "; the looks so far are kept beside it"
    return made, (f"a new watch begins; its reference is kept in {home}{earlier}",)


def _waiting(run: _Run, asked: tuple[str, str]) -> Monitored:
    """What is to be said before a window has ended; people are told what is still owed them of other models."""
    from emolab.loop.operate.alerting import tell_alarms

    until = "" if run.found.running is None else f"; the first one ends on {run.found.running.date()}"
    return Monitored(
        model=run.watched.id, name=run.watched.name, outcome=WAITING, reference=asked[0], every=asked[1], new=0,
        looks=(), told=tuple(tell_alarms(run.workspace, run.watched.id, [], now=run.now)),
        notes=(*_notes_of_log(run, asked[1]), f"no {asked[1]} with answers has ended yet{until}"),
    )  # fmt: skip


def _for_a_new_watch(run: _Run, watch: WatchReference) -> tuple[str, ...]:
    """What the settings say otherwise than ``watch`` has it, and what makes it hold."""
    said, usual = run.workspace.config.monitor, type(run.workspace.config.monitor)()
    has = {"every": watch.every, "reference": watch.asked}
    other = {
        name: value
        for name, value in {"every": said.every, "reference": said.reference}.items()
        if value not in (has[name], getattr(usual, name))  # what nobody has set asks for nothing
    }
    if not other:
        return ()
    settings = " and ".join(f"monitor.{name} = {value}" for name, value in other.items())
    now = " and ".join(has[name] for name in other)
    options = " ".join(f"--{name} {value}" for name, value in other.items())
    begin = f"To begin one: emolab monitor {run.watched.name} {options}"
    return (f"{settings} {'are' if len(other) > 1 else 'is'} for a new watch; this one has {now}. {begin}",)


def _notes_of_log(run: _Run, every: str) -> list[str]:
    """What is odd about the log, in which windows of ``every`` are looked at."""
    from emolab.monitoring.windows import DAYS

    found, model, notes = run.found, short(run.watched.id), []
    days = run.workspace.config.serve.log_days
    if days <= DAYS[every]:
        notes.append(f"serve.log_days = {days} is too short: a {every} has lost days before it is looked at")
    if run.watched.retired:
        notes.append(f"model {model} is retired: nobody is answered by it")
    if found.later:
        notes.append(f"{many(found.later, 'answer')} of the log are of a time to come: a clock was wrong")
    if found.old:
        notes.append(f"{many(found.old, 'answer')} of the log are older than it goes back (serve.log_days)")
    if found.lacking:
        lack = many(found.lacking, "answer of the log lacks", "answers of the log lack")
        notes.append(f"{lack} a column (a crash, or a damaged file)")
    if found.finished and found.running is None:
        last = found.finished[-1]
        if run.now >= last.end + (last.end - last.begin):
            notes.append(f"nothing was asked since {last.name}; is it served with serve.log?")
    return notes
