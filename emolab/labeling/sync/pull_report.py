"""What a pull changed in the ledger: added up over projects, then reported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from emolab.labeling.answers.record_votes import LedgerChanges
from emolab.labeling.sync.duplicate_tasks import Settled
from emolab.results import Result, Table, tables_of
from emolab.words import many

if TYPE_CHECKING:
    from emolab.labeling.label_studio.records import RemoteProject


@dataclass(frozen=True, kw_only=True)
class PullReport(Result):
    """What a pull changed in the ledger, over all projects of this workspace on the server."""

    projects: tuple[str, ...]
    read: int = 0  # tasks that were looked at
    new: int = 0
    edited: int = 0
    withdrawn: int = 0
    tasks_deleted: int = 0
    adopted: int = 0
    foreign: int = 0
    forgotten: int = 0  # tasks of samples that were forgotten here, left out
    doubles_removed: int = 0  # second tasks of one sample without answers, made by a request carried out again
    twins_closed: int = 0  # second tasks with answers (or drafts), taken out of the queue
    projects_removed: int = 0  # empty projects of the same title
    projects_merged: tuple[int, ...] = ()  # further projects of the title, new to us: they count
    uncounted: int = 0  # tasks whose answers the server does not count: it hands them out again
    by_others: int = 0  # of the new and edited ones: written or changed by somebody else in the annotator's name
    rejected: Mapping[str, int] = field(default_factory=dict)
    people: int = 0  # annotators seen for the first time
    held: Mapping[str, int] = field(default_factory=dict)  # withdrawals held back without consent, by project
    gone: tuple[str, ...] = ()  # projects that were deleted on the server; their votes stay
    recalled: int = 0  # tasks taken off the server: the consent to show their samples has ended
    reordered: int = 0  # open tasks that were given new places after these answers (labeling.relearn)
    seconds: float = 0.0

    def tables(self) -> list[Table]:
        """What there is to tell, without what did not happen."""
        return tables_of(type(self), {name: value for name, value in self.to_dict().items() if value})

    @property
    def changed(self) -> bool:
        """Whether the ledger is different from before."""
        return bool(self.new or self.edited or self.withdrawn or self.tasks_deleted or self.adopted)

    @property
    def uncounted_words(self) -> str:
        """What to do where the server does not count answers; empty where it does."""
        if not self.uncounted:
            return ""
        return (
            f"Label Studio does not count the answers to {many(self.uncounted, 'task')} and hands them out again. "
            "It stops counting when several projects are deleted at once: start it again. The votes are all here."
        )

    @property
    def attention(self) -> list[str]:
        """What somebody should look at, a sentence each, for those who call for no report."""
        found = [f"Project “{title}” was deleted in Label Studio; its votes stay." for title in self.gone]
        if self.held:
            held = many(sum(self.held.values()), "withdrawal")
            found.append(f"{held} wait for somebody's consent: emolab label pull says more.")
        return [*found, self.uncounted_words] if self.uncounted else found


@dataclass
class PullTotal:
    """What has changed so far, over several projects: ``read`` and ``gone`` are their titles."""

    read: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    tasks: int = 0
    people: int = 0
    settled: Settled = field(default_factory=Settled)
    removed: int = 0
    uncounted: int = 0
    merged: list[int] = field(default_factory=list)
    surplus: dict[str, list[RemoteProject]] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)
    ledger: LedgerChanges = field(default_factory=LedgerChanges)

    def add(self, title: str, changes: LedgerChanges, settled: Settled, *, tasks: int, people: int) -> None:
        """Add what one project brought."""
        self.tasks += tasks
        self.people += people
        self.settled.add(settled)
        for name in ("new", "edited", "withdrawn", "tasks_deleted", "foreign", "forgotten", "adopted", "by_others"):
            setattr(self.ledger, name, getattr(self.ledger, name) + getattr(changes, name))
        self.ledger.rejected += changes.rejected
        if changes.held:
            self.held[title] = changes.held

    def report(self, seconds: float) -> PullReport:
        """The sum as a report."""
        ledger = self.ledger
        return PullReport(
            projects=tuple(self.read),
            read=self.tasks,
            new=ledger.new,
            edited=ledger.edited,
            withdrawn=ledger.withdrawn,
            tasks_deleted=ledger.tasks_deleted,
            adopted=ledger.adopted,
            foreign=ledger.foreign,
            forgotten=ledger.forgotten,
            doubles_removed=len(self.settled.removed),
            twins_closed=len(self.settled.closed),
            projects_removed=self.removed,
            projects_merged=tuple(self.merged),
            uncounted=self.uncounted,
            by_others=ledger.by_others,
            rejected=dict(ledger.rejected.most_common()),
            people=self.people,
            held=self.held,
            gone=tuple(self.gone),
            seconds=round(seconds, 3),
        )
