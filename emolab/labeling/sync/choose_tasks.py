"""What a push sends: pending suggestions, or samples nobody has labelled yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from emolab.catalog import samples
from emolab.catalog.campaign import answers, remotes, rounds
from emolab.catalog.campaign.remotes import TaskRequest
from emolab.catalog.campaign.unsent import unsent
from emolab.catalog.privacy import consents
from emolab.errors import DataError
from emolab.records import SKIPPED

if TYPE_CHECKING:
    from emolab.catalog import Catalog
    from emolab.records import Suggestion
    from emolab.votes.picture_bar import Bar


@dataclass(frozen=True)
class TaskChoice:
    """Samples to send (``new``) and tasks to ask about once more (``again``).

    ``deleted`` counts chosen samples whose task somebody deleted on the server: those are left alone. ``left_out``
    counts unlabelled samples that are not worth asking about, by reason.
    """

    source: str
    new: list[TaskRequest]
    again: list[TaskRequest]
    deleted: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)


def choose(
    catalog: Catalog,
    here: remotes.Project | None,
    *,
    n: int | None,
    suggestions: bool,
    everything: bool = False,
    overlap: int,
    bar: Bar,
    consent_required: bool = False,
) -> TaskChoice:
    """The pending suggestions, or ``n`` or all unlabelled samples; suggestions when nothing is asked for.

    ``here`` is the project to send to, when it exists; ``overlap`` how many people see a new sample; ``bar`` what an
    unlabelled sample must have to be sent. A suggested one is sent whatever it has. Samples whose consent
    has ended, or that lack one with ``consent_required``, are left out either way.
    """
    with catalog.connect() as conn:
        may = consents.allowed(conn, "label", required=consent_required)
        suggested = [] if n is not None or everything else rounds.suggestions(conn, unsent=True)
        present = {task.sample_id: task for task in remotes.tasks(conn, here)} if here else {}
        given = answers.counts(conn, here, besides=SKIPPED) if here and suggested else {}
        if not suggested and not suggestions:
            first = 1 + max((task.rank or 0 for task in present.values() if task.round is None), default=0)
            found = unsent(conn, here, bar, barred=may.barred)
            new = [TaskRequest(s, first + i, overlap) for i, s in enumerate(found.ids[:n])]
            return TaskChoice("unlabelled", new, [], left_out=found.left_out)
    fine = [s for s in suggested if s.sample_id not in may.barred]
    left_out = may.left_out({s.sample_id for s in suggested})
    return replace(_suggested(fine, present, given, overlap=overlap), left_out=left_out)


def _suggested(
    suggested: Sequence[Suggestion],
    present: Mapping[str, remotes.ProjectTask],
    given: Mapping[str, int],
    *,
    overlap: int,
) -> TaskChoice:
    """What is sent of the ``suggested`` ones: new tasks, and one more opinion on samples that have one.

    ``present`` are the tasks by sample, ``given`` how many people have answered. Deleted tasks stay deleted.
    """
    choice = TaskChoice("suggestions", [], [], sum(_is_deleted(present, s.sample_id) for s in suggested))
    for s in suggested:
        if _is_deleted(present, s.sample_id):
            continue
        if s.kind == "revote" and s.sample_id in present:
            asked = max(present[s.sample_id].overlap, given.get(s.sample_id, 0))  # there may be more than asked for
            choice.again.append(TaskRequest(s.sample_id, s.rank, asked + 1, s.round))
        else:
            choice.new.append(TaskRequest(s.sample_id, s.rank, overlap, s.round))
    return choice


def nothing(catalog: Catalog, choice: TaskChoice, *, asked_for_suggestions: bool) -> str:
    """Why there is nothing to send, in words. Raises :class:`DataError` when there are no samples at all."""
    with catalog.connect() as conn:
        if samples.count(conn) == 0:
            raise DataError("There are no samples to label yet.", hint="Bring some in with: emolab collect PATH")
    gone = f" ({choice.deleted} were deleted in Label Studio)" if choice.deleted else ""
    if asked_for_suggestions:
        return f"No suggestion waits to be sent{gone}."
    which = "Every other" if choice.left_out else "Every"
    return f"{which} sample is labelled or was sent already{gone}."


def _is_deleted(present: Mapping[str, remotes.ProjectTask], sample_id: str) -> bool:
    task = present.get(sample_id)
    return task is not None and task.state == "deleted"
