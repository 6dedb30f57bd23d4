"""One turn of continuous training, made to be called by a timer: cheap where nothing is new, safe to kill anywhere."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emolab.errors import DataError
from emolab.loop.operate.cycle.cycle_steps import FIGURES
from emolab.progress import SILENT
from emolab.results import Result, Table
from emolab.words import many, short

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from emolab.catalog.ledger_mark import LedgerChange, LedgerMark
    from emolab.loop.operate.cycle.cycle_journal import CycleJournal
    from emolab.progress import Progress
    from emolab.workspace import Workspace

#: What a turn comes to.
NOTHING_NEW, COMPLETE, BLOCKED, WOULD_RUN = "nothing new", "complete", "blocked", "would run"


@dataclass(frozen=True, kw_only=True)
class StepDone(Result):
    """A ``step``: what it ``came`` to, the processor seconds of the attempt that ended it, and whether ``before`` now.

    ``before``: it had been done by an earlier run of the same cycle.
    """

    step: str
    about: str
    came: Mapping[str, Any]
    cpu_s: float
    before: bool

    def words(self) -> str:
        """What it came to, in one line."""
        return next(tell(self.came) for key, tell in WORDS.items() if key in self.came)


def _noted(came: Mapping[str, Any]) -> str:
    return f" ({came['note']})" if came.get("note") else ""


def _of_model(came: Mapping[str, Any]) -> str:
    shown = [f"{FIGURES[key]} {value:.3f}" for key, value in came["valid"].items() if key in FIGURES]
    return f"model {short(came['model'])} is {came['alias']}" + (f" ({', '.join(shown)})" if shown else "")


#: What a step came to in words, by the first of these keys that it has.
WORDS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "skipped": lambda came: f"nothing to do: {came['skipped']}",
    "blocked": lambda came: f"blocked: {'; '.join(came['blocked'])}",
    "gate": lambda came: f"model {short(came['champion'])} is champion: the gate let it pass",
    "model": _of_model,
    "version": lambda came: f"{many(came['n'], 'sample')} by {came['method']}",
    "round": lambda came: f"round {came['round']}: {many(came['n'], 'sample')} by {came['strategy']}{_noted(came)}",
    "snapshot": lambda came: f"data snapshot {short(came['snapshot'])}: {many(came['votes'], 'vote')}{_noted(came)}",
    "project": lambda came: f"{many(came['created'], 'new task')} in “{came['project']}”",
}


@dataclass(frozen=True, kw_only=True)
class Cycled(Result):
    """What a turn came to: ``outcome``, the ``reason`` in words, the steps, votes that were new, processor seconds.

    ``number`` and ``report`` are ``None`` where no cycle began; ``resumed`` where one that was stopped went on.
    """

    outcome: str
    reason: str
    number: int | None = None
    resumed: bool = False
    votes: int = 0
    pulled: int | None = None
    steps: tuple[StepDone, ...] = ()
    cpu_s: float = 0.0
    report: Path | None = None

    def tables(self) -> list[Table]:
        """The outcome, then a row a step."""
        about = (
            ("outcome", self.outcome),
            ("reason", self.reason),
            ("new votes", self.votes),
            ("processor seconds", round(self.cpu_s, 1)),
            ("report", str(self.report or "")),
        )
        head = [(key, value) for key, value in about if value != ""]
        title = "Cycle" if self.number is None else f"Cycle {self.number}"
        rows = [(step.step, step.words(), round(step.cpu_s, 1)) for step in self.steps]
        return [Table(title, (), head), *([Table("Steps", ("step", "what it came to", "CPU s"), rows)] if rows else [])]


def cycle(workspace: Workspace, *, now: bool = False, dry_run: bool = False, progress: Progress = SILENT) -> Cycled:
    """Pull votes; where enough are new, turn the loop: from labels to tasks. A stopped cycle goes on where it was.

    Enough are ``cycle.votes`` new, edited or withdrawn votes since the last cycle, or any with ``now``. With
    ``cycle.drift`` an alarm of the newest look at the champion is a reason too. One at a time. ``dry_run`` says from
    the votes that are here what would be done, and changes nothing. Raises :class:`EmolabError` where a step fails; the
    next call goes on with it.
    """
    from emolab.loop.operate.cycle import cycle_journal
    from emolab.loop.operate.cycle.drift_reason import unanswered_alarm

    root = workspace.state / "cycles"
    if dry_run:
        return _foreseen(workspace, cycle_journal.read_all(root), now=now)
    with workspace.lock("cycle"):
        journals = cycle_journal.read_all(root)
        if journals and not journals[-1].ended:
            if journals[-1].failed:
                _with_news(workspace, journals, progress)
            return _go_on(workspace, journals[-1], resumed=len(journals[-1].lines) > 1, progress=progress)
        pulled = _pull(workspace, progress)
        change, mark = _since_last(workspace, journals)
        drift = unanswered_alarm(workspace, journals)
        reason = _why(workspace, change, drift, now=now)
        if reason is None:
            return Cycled(outcome=NOTHING_NEW, reason=_too_few(workspace, change), votes=sum(change), pulled=pulled)
        told = {"mark": list(mark), "votes": sum(change), "reason": reason, "pulled": pulled}
        journal = cycle_journal.begin(root, told if drift is None else {**told, "drift": drift})
        return _go_on(workspace, journal, resumed=False, progress=progress)


def _foreseen(workspace: Workspace, journals: list[CycleJournal], *, now: bool) -> Cycled:
    from emolab.loop.operate.cycle.cycle_steps import STEPS
    from emolab.loop.operate.cycle.drift_reason import unanswered_alarm

    if journals and not journals[-1].ended:
        last = journals[-1]
        left = [step.name for step in STEPS if last.done(step.name) is None]
        reason = f"cycle {last.number} was stopped and goes on: {', '.join(left) or 'its report'}"
        return Cycled(outcome=WOULD_RUN, reason=reason, number=last.number, resumed=True)
    change, _ = _since_last(workspace, journals)
    reason_now = _why(workspace, change, unanswered_alarm(workspace, journals), now=now)
    if reason_now is None:
        return Cycled(outcome=NOTHING_NEW, reason=_too_few(workspace, change), votes=sum(change))
    names = ", ".join(step.name for step in STEPS)
    return Cycled(outcome=WOULD_RUN, reason=f"{reason_now}: {names}", votes=sum(change))


def _pull(workspace: Workspace, progress: Progress) -> int | None:
    """New votes from Label Studio; ``None`` where nothing was ever sent to one."""
    from emolab.catalog.campaign import remotes

    with workspace.catalog() as catalog, catalog.connect() as conn:
        if not remotes.projects(conn):
            return None
    from emolab.loop.label.pull import pull

    report = pull(workspace, progress=progress)
    for line in report.attention:
        progress.note(line)
    return report.new


def _with_news(workspace: Workspace, journals: list[CycleJournal], progress: Progress) -> None:
    """Let the last cycle, whose votes did not do, begin again with those that have come since."""
    from emolab.loop.operate.cycle import cycle_journal

    pulled = _pull(workspace, progress)
    change, mark = _since_last(workspace, journals[:-1])
    reason = str(change) or journals[-1].begun["reason"]
    journals[-1].write(cycle_journal.AGAIN, mark=list(mark), votes=sum(change), reason=reason, pulled=pulled)


def _since_last(workspace: Workspace, journals: list[CycleJournal]) -> tuple[LedgerChange, LedgerMark]:
    """What happened to the votes since the last cycle began, and where they are now."""
    from emolab.catalog import ledger_mark

    with workspace.catalog() as catalog, catalog.connect() as conn:
        earlier = ledger_mark.parse(journals[-1].begun["mark"]) if journals else None
        earlier = earlier or _trained_on(conn) or ledger_mark.LedgerMark(0, 0, 0, 0)
        return ledger_mark.since(conn, earlier), ledger_mark.mark(conn)


def _trained_on(conn: Connection) -> LedgerMark | None:
    """Before the first cycle: the votes that the newest model has learned from, where the labels are not newer."""
    from emolab.catalog import labels, models

    head, made = labels.head(conn), models.made_at(conn)
    return head.made_at if head and made and head.created_at <= max(made.values()) else None


def _why(workspace: Workspace, change: LedgerChange, drift: Mapping[str, Any] | None, *, now: bool) -> str | None:
    """Why a cycle begins, every reason; ``None`` where it does not."""
    drifted = None if drift is None else f"drift: {drift['words']}"
    reasons = (_enough(workspace, change, now=now), _forgotten(workspace), drifted)
    return "; ".join(reason for reason in reasons if reason) or None


def _enough(workspace: Workspace, change: LedgerChange, *, now: bool) -> str | None:
    """Whether the votes are a reason, in words; ``None`` where they are not."""
    if now:
        return f"asked for ({str(change) or 'no vote is new'})"
    return str(change) if sum(change) >= workspace.config.cycle.votes else None


def _forgotten(workspace: Workspace) -> str | None:
    """Why a cycle begins without new votes: the champion learned from samples that were forgotten since."""
    from emolab.catalog import models
    from emolab.catalog.registry import model_events
    from emolab.catalog.registry.replay import CONTAINS_FORGOTTEN

    with workspace.catalog() as catalog, catalog.connect() as conn:
        state = model_events.state(conn)
        champion = state.aliases.get("champion")
        flagged = {model for model, flags in state.flags.items() if CONTAINS_FORGOTTEN in flags}
        newest = list(models.made_at(conn))[-1:]
    if champion not in flagged or (newest and newest[0] not in flagged):  # one without them waits for the gate
        return None
    return "the champion learned from samples that were forgotten since"


def _too_few(workspace: Workspace, change: LedgerChange) -> str:
    asked = workspace.config.cycle.votes
    return f"{str(change) or 'no vote is new'}; a cycle begins with {asked:,} (cycle.votes)"


def _go_on(workspace: Workspace, journal: CycleJournal, *, resumed: bool, progress: Progress) -> Cycled:
    """Every step that is not done, then the report."""
    from emolab.loop.operate.cycle import cycle_journal
    from emolab.loop.operate.cycle.cycle_page import write_report
    from emolab.loop.operate.cycle.cycle_steps import STEPS

    done: list[StepDone] = []
    came: dict[str, Any] = {"begun": journal.begun}
    for step in STEPS:
        line = journal.done(step.name)
        before = line is not None
        if line is None:
            start = journal.started(step.name) or journal.write(
                cycle_journal.STARTED, step.name, **step.before(workspace)
            )
            spent = _cpu()
            progress.note(f"Cycle {journal.number}: {step.about}.")
            try:
                result = step.run(workspace, start, came, progress)
            except DataError as error:
                if step.needs_votes:  # others may do: without them it would fail for ever
                    journal.write(cycle_journal.FAILED, step.name, reason=error.message)
                raise
            line = journal.write(cycle_journal.DONE, step.name, came=result, cpu_s=round(_cpu() - spent, 2))
        came[step.name] = line["came"]
        done.append(StepDone(step=step.name, about=step.about, came=line["came"], cpu_s=line["cpu_s"], before=before))
    told = Cycled(
        outcome=BLOCKED if "blocked" in came["promote"] else COMPLETE,
        reason=journal.begun["reason"],
        number=journal.number,
        resumed=resumed,
        votes=journal.begun["votes"],
        pulled=journal.begun["pulled"],
        steps=tuple(done),
        cpu_s=sum(step.cpu_s for step in done),
        report=journal.folder / cycle_journal.REPORT,
    )
    write_report(told, began=journal.begun["at"])
    journal.write(cycle_journal.ENDED, outcome=told.outcome)
    return told


def _cpu() -> float:
    """Processor seconds of this process and those it has waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime
