"""From tasks as the server shows them to votes in the ledger, and what must be withdrawn because it is gone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from emolab.catalog import samples, votes
from emolab.catalog.campaign import answers, remotes
from emolab.catalog.campaign.answers import RecordedAnswer
from emolab.labeling.answers import across_projects, pseudonyms
from emolab.labeling.sync import task_payload

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from emolab.catalog.campaign.remotes import Project
    from emolab.catalog.votes import Known
    from emolab.labeling.label_studio.records import RemoteAnnotation, RemoteTask
    from emolab.records import Vote

ANSWER_DELETED = "deleted in Label Studio"
#: A vote that is withdrawn alone is somebody's own change of mind, whatever its share.
ALONE = 1
TASK_DELETED = "its task was deleted in Label Studio"
_NO_GUESSES: Mapping[int, str] = {}


@dataclass
class LedgerChanges:
    """What changed in the ledger."""

    new: int = 0
    edited: int = 0
    withdrawn: int = 0
    tasks_deleted: int = 0
    foreign: int = 0  # tasks of samples that this catalog does not have
    adopted: int = 0  # tasks of our samples that another machine sent
    by_others: int = 0  # new or edited answers that somebody else wrote or changed in the annotator's name
    held: int = 0  # votes that would be withdrawn, but are so many that somebody has to agree first
    rejected: Counter[str] = field(default_factory=Counter)  # new answers that cannot be counted, by reason


def record(
    tx: Connection,
    project: Project,
    seen: Sequence[RemoteTask],
    *,
    classes: Sequence[str],
    names: Mapping[int, str],
    overlap: int,
    guesses: Mapping[int, str] = _NO_GUESSES,
    there: Mapping[int, str | None] | None = None,
    tasks_before: Mapping[int, str] = MappingProxyType({}),
    accept: int | None = None,
    theirs: frozenset[str] = frozenset(),
) -> LedgerChanges:
    """Bring the ledger to what these tasks say now: new answers, edited ones, and tombstones for vanished ones.

    ``names`` are pseudonyms by user id, ``guesses`` what predictions put on the form, by their ids, ``theirs`` names
    that the form uses for questions of the team's own. ``there``, if they were listed, are all tasks of the server with
    the samples they carry, seen after ``tasks_before`` (those of the catalog) was read: what hangs on tasks that are
    gone is withdrawn too. Where suspiciously many votes would cease to count (:func:`too_many`) all of those stay as
    they are, unless ``accept`` is exactly their number. Repeating it with the same tasks changes nothing.
    """
    tally = LedgerChanges()
    by_sample: dict[str, list[RemoteTask]] = {}
    for task in seen:
        if task.uid is not None:
            by_sample.setdefault(task.uid, []).append(task)
    ours = samples.keys(tx, list(by_sample))
    tally.foreign = sum(task.uid not in ours for task in seen)
    state = {task.sample_id: task for task in remotes.tasks(tx, project)}
    lowest = {sample_id: min(t.id for t in group) for sample_id, group in by_sample.items() if sample_id in ours}
    strange = {
        s: t for s, t in lowest.items() if s not in state or state[s].task is None or state[s].state == "deleted"
    }
    tally.adopted = remotes.adopt(tx, project, strange, overlap=overlap)
    before = {a.annotation: a for a in answers.find(tx, project, by_task=[task.id for task in seen])}
    known = known_of(tx, project, seen)
    made: list[Vote] = []
    now: list[RecordedAnswer] = []
    for sample_id, group in by_sample.items():
        if sample_id in ours:
            number = state[sample_id].round if sample_id in state else None
            made += _votes(
                project, sample_id, group, before, now, classes=classes, names=names, number=number,
                known=known, guesses=guesses, theirs=theirs,
            )  # fmt: skip
    present = {answer.annotation for answer in now}
    vanished = before.keys() - present
    emptied = {vote.origin for vote in made if vote.rejected == task_payload.EMPTY}
    on_lost = [] if there is None else answers.find(tx, project, by_task=sorted(tasks_before.keys() - there.keys()))
    ceasing = emptied | {project.origin(a) for a in vanished | {a.annotation for a in on_lost}}
    counted = votes.counted(tx, project.origin_of) if ceasing else set()
    ceasing &= counted
    if too_many(len(ceasing), len(counted)) and accept != len(ceasing):
        tally.held = len(ceasing)
        made = [vote for vote in made if vote.origin not in ceasing]
    leaving = {project.origin(a) for a in vanished | {a.annotation for a in on_lost}} if not tally.held else set()
    about = [*(s for s in by_sample if s in ours), *(a.sample_id for a in on_lost)]
    made = across_projects.once(tx, project, made, samples=about, leaving=leaving, held=bool(tally.held))
    fresh = present - before.keys()
    borrowed = {project.origin(a.id) for task in seen for a in task.annotations if in_another_name(a)}
    tally.by_others = votes.append(tx, [vote for vote in made if vote.origin in borrowed])
    changed = tally.by_others + votes.append(tx, [vote for vote in made if vote.origin not in borrowed])
    tally.new = len(fresh)
    tally.edited = max(0, changed - len(fresh))
    origins = {project.origin(annotation) for annotation in fresh}
    tally.rejected = Counter(v.rejected for v in made if v.rejected is not None and v.origin in origins)
    answers.add(
        tx, project, [a for a in now if a.annotation in fresh],
        votes.annotator_keys(tx, {a.annotator for a in now}),
    )  # fmt: skip
    if not tally.held:
        tally.withdrawn = _withdraw(tx, project, vanished, ANSWER_DELETED)
        if there is not None:
            tally.tasks_deleted = _gone(tx, project, there, tasks_before)
            tally.withdrawn += _withdraw(tx, project, {a.annotation for a in on_lost}, TASK_DELETED)
    return tally


def known_of(conn: Connection, project: Project, seen: Sequence[RemoteTask]) -> dict[str, Known]:
    """What the ledger knows of the answers of these tasks, by origin."""
    origins = [project.origin(answer.id) for task in seen for answer in task.annotations]
    return votes.known(conn, origins, refused=task_payload.COPIES)


def too_many(ceasing: int, counted: int) -> bool:
    """Whether so many of ``counted`` votes would be withdrawn at once that a person has to agree first.

    More than a tenth, unless it is a single one: a listing that came back empty takes all, people take back few.

    >>> too_many(84, 84), too_many(1, 5), too_many(6, 60), too_many(7, 60)
    (True, False, False, True)
    """
    return ceasing > ALONE and ceasing * 10 > counted


def in_another_name(answer: RemoteAnnotation) -> bool:
    """Whether the last hand on an answer was not that of the person whose name it bears.

    Label Studio lets everybody write an answer in anybody's name, and edit the answers of others.
    """
    return None not in (answer.completed_by, answer.updated_by) and answer.completed_by != answer.updated_by


def _gone(tx: Connection, project: Project, there: Mapping[int, str | None], known: Mapping[int, str]) -> int:
    """Note which tasks are no longer on the server, and which sample another task carries now; how many went away."""
    carrier: dict[str, int] = {}
    for task, sample_id in sorted(there.items()):
        if sample_id is not None:
            carrier.setdefault(sample_id, task)
    lost = {task: sample_id for task, sample_id in known.items() if task not in there}
    moved = {s: carrier[s] for s in lost.values() if s in carrier}
    remotes.arrived(tx, project, moved)
    remotes.set_state(tx, project, sorted(set(lost.values()) - moved.keys()), "deleted")
    return len(set(lost.values()) - moved.keys())


def _votes(
    project: Project,
    sample_id: str,
    group: Sequence[RemoteTask],
    before: Mapping[int, RecordedAnswer],
    now: list[RecordedAnswer],
    *,
    classes: Sequence[str],
    names: Mapping[int, str],
    number: int | None,
    known: Mapping[str, Known],
    guesses: Mapping[int, str],
    theirs: frozenset[str],
) -> list[Vote]:
    """The votes of all tasks that carry one sample; the answers they stand for are added to ``now``."""

    def annotator_of(answer: RemoteAnnotation) -> str:
        if answer.completed_by is not None:
            return names[answer.completed_by]
        earlier = before.get(answer.id)  # the account was deleted since: what was known of it stays
        return earlier.annotator if earlier else pseudonyms.departed(answer.id)

    given = [answer for task in group for answer in task.annotations]
    now += [
        RecordedAnswer(answer.id, task.id, sample_id, annotator_of(answer))
        for task in group
        for answer in task.annotations
    ]
    return task_payload.votes(
        given,
        sample_id=sample_id,
        annotator_of=annotator_of,
        origin_of=lambda answer: project.origin(answer.id),
        classes=classes,
        round_number=number,
        guesses=guesses,
        before=known,
        theirs=theirs,
    )


def _withdraw(tx: Connection, project: Project, annotations: set[int], reason: str) -> int:
    answers.forget(tx, project, annotations)
    return votes.withdraw(tx, [project.origin(annotation) for annotation in annotations], reason)
