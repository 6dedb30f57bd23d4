"""What a push was asked for, and what it did."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from emolab.results import Result, Table, tables_of

NO_GUESSES: Mapping[str, str] = {}


@dataclass(frozen=True, kw_only=True)
class PushRequest:
    """What to send to the project ``title``, and how; the fields are those of :func:`emolab.labeling.sync.push.push`.

    ``visible``: annotators see the ``guesses``, but those of a share of ``blind``. ``agree`` is asked only where
    everything unlabelled goes by default.
    """

    title: str
    n: int | None = None
    suggestions: bool = False
    everything: bool = False
    overlap: int | None = None
    visible: bool = False
    guesses: Mapping[str, str] = field(default_factory=dict)
    blind: float = 0.0
    agree: Callable[[int], None] | None = None
    dry_run: bool = False
    consent_required: bool = False

    def nothing_more(self) -> PushRequest:
        """The same push, which chooses no further samples: only what an earlier one has left over goes out."""
        return replace(self, n=0, suggestions=False, everything=False, agree=None)


@dataclass(frozen=True, kw_only=True)
class PushReport(Result):
    """What a push did, or with ``dry_run`` would do."""

    project: str
    url: str  # of the project, for the browser
    number: int | None  # the project's own on the server, once there is one
    dry_run: bool
    source: str  # suggestions | unlabelled
    chosen: int
    created: int = 0
    resumed: int = 0  # left over from an interrupted push
    adopted: int = 0  # found on the server already
    reopened: int = 0  # asked for one more opinion
    twins_removed: int = 0
    twins_closed: int = 0  # second tasks with answers, taken out of the queue
    projects_removed: int = 0  # empty ones of the same title, made by a repeated request
    looked_up: int = 0  # requests that broke and whose outcome had to be looked up
    waiting: int = 0  # tasks in the queue of the annotators after the push
    guesses: int = 0  # of those waiting, the ones whose form shows the model's guess
    blind: int = 0  # and those with a guess that stays hidden
    overlap: int = 0
    new_project: bool = False
    labels_added: tuple[str, ...] = ()
    labels_removed: tuple[str, ...] = ()
    labels_kept: tuple[str, ...] = ()  # no classes any more, but used in answers
    questions_kept: tuple[str, ...] = ()  # of the team's own, which stay on the form
    optional_kept: tuple[str, ...] = ()  # second, confidence: switched off, but answered, so they stay on the form
    left_out: Mapping[str, int] = field(default_factory=dict)  # not worth asking about, by reason
    deleted_there: int = 0  # chosen, but somebody deleted their task on the server
    missing: list[str] = field(default_factory=list)  # samples whose file cannot be read or shown
    note: str = ""  # why nothing was to be done
    seconds: float = 0.0

    def tables(self) -> list[Table]:
        """What there is to tell, without what did not happen."""
        return tables_of(type(self), {name: value for name, value in self.to_dict().items() if value})

    def to_event(self) -> dict[str, str | int]:
        """What is remembered of this push."""
        detail: dict[str, str | int] = {
            "project": self.project,
            "created": self.created,
            "adopted": self.adopted,
            "reopened": self.reopened,
        }
        rare = {
            "twins_removed": self.twins_removed,
            "twins_closed": self.twins_closed,
            "projects_removed": self.projects_removed,
        }
        return detail | {name: count for name, count in rare.items() if count}
