"""From tasks as the server shows them to votes in the ledger, and what must be withdrawn because it is gone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from emolab.catalog import samples, votes
from emolab.catalog.campaign import answers, app_answers, remotes
from emolab.catalog.campaign.answers import RecordedAnswer
from emolab.labeling.answers import across_projects, pseudonyms, votes_from_answers

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from emolab.catalog.campaign.remotes import Project, ProjectTask
    from emolab.catalog.votes import Known
    from emolab.labeling.label_studio.records import RemoteAnnotation, RemoteTask
    from emolab.records import FormGuess, Vote

ANSWER_DELETED = "deleted in Label Studio"
#: A vote that is withdrawn alone is somebody's own change of mind, whatever its share.
ALONE = 1
TASK_DELETED = "its task was deleted in Label Studio"


@dataclass
class LedgerChanges:
    """What changed in the ledger."""

    new: int = 0
    edited: int = 0
    withdrawn: int = 0
    tasks_deleted: int = 0
    foreign: int = 0  # tasks of samples that this catalog does not have
    forgotten: int = 0  # of these, tasks of samples that were forgotten here
    adopted: int = 0  # tasks of our samples that another machine sent
    by_others: int = 0  # new or edited answers that somebody else wrote or changed in the annotator's name
    held: int = 0  # votes that would be withdrawn, but are so many that somebody has to agree first
    rejected: Counter[str] = field(default_factory=Counter)  # new answers that cannot be counted, by reason


@dataclass(frozen=True, kw_only=True)
class PulledTasks:
    """What a pull saw in one project: ``tasks`` with all their answers, and what those are read against.

    ``names`` are pseudonyms by user id, ``overlap`` how many people see a sample, ``guesses`` what predictions put on
    the form, by their ids, ``forms`` all that they tell of it, ``theirs`` names that the form uses for questions of the
    team's own, ``several`` whether it offers several classes at once.

    ``there``, if they were listed, are all tasks of the server with the samples they carry, seen after
    ``tasks_before`` (those of the catalog) was read: what hangs on tasks that are gone is withdrawn too. ``accept`` is
    the number of withdrawals that somebody has agreed to.
    """

    tasks: Sequence[RemoteTask]
    classes: Sequence[str]
    names: Mapping[int, str]
    overlap: int
    guesses: Mapping[int, str] = field(default_factory=dict)
    forms: Mapping[int, FormGuess] = field(default_factory=dict)
    theirs: frozenset[str] = frozenset()
    several: bool = False
    there: Mapping[int, str | None] | None = None
    tasks_before: Mapping[int, str] = field(default_factory=dict)
    accept: int | None = None

    def by_sample(self) -> dict[str, list[RemoteTask]]:
        """The tasks that carry each sample."""
        groups: dict[str, list[RemoteTask]] = {}
        for task in self.tasks:
            if task.uid is not None:
                groups.setdefault(task.uid, []).append(task)
        return groups


@dataclass(frozen=True)
class _Ledger:
    """What the catalog holds about pulled tasks before anything is written.

    ``ours`` are samples of this catalog, ``state`` their tasks, ``before`` the answers known on the pulled tasks,
    ``lost`` those known on tasks that are gone, ``known`` what the ledger knows of each answer by origin.
    """

    ours: Collection[str]
    state: Mapping[str, ProjectTask]
    before: Mapping[int, RecordedAnswer]
    lost: Sequence[RecordedAnswer]
    known: Mapping[str, Known]


def record(tx: Connection, project: Project, pulled: PulledTasks) -> LedgerChanges:
    """Bring the ledger to what these tasks say now: new answers, edited ones, and tombstones for vanished ones.

    Where suspiciously many votes would cease to count (:func:`too_many`) all of those stay as they are, unless
    ``pulled.accept`` is exactly their number. Repeating it with the same tasks changes nothing.
    """
    by_sample = pulled.by_sample()
    ledger = _look_up(tx, project, pulled, by_sample)
    changes = LedgerChanges(foreign=sum(task.uid not in ledger.ours for task in pulled.tasks))
    changes.adopted = remotes.adopt(tx, project, _strange(ledger, by_sample), overlap=pulled.overlap)
    made, now = _read(project, pulled, by_sample, ledger)
    vanished = ledger.before.keys() - {answer.annotation for answer in now}
    meant = app_answers.taken_back(tx, project, vanished)  # one by one, by whoever gave them
    leaving = {project.origin(a) for a in vanished | {a.annotation for a in ledger.lost}}
    ceasing, counted = _ceasing(tx, project, made, leaving)
    ceasing -= {project.origin(annotation) for annotation in meant}
    if too_many(len(ceasing), counted) and pulled.accept != len(ceasing):
        changes.held = len(ceasing)
        made = [vote for vote in made if vote.origin not in ceasing]
        leaving, vanished = {project.origin(annotation) for annotation in meant}, meant
    about = [*(s for s in by_sample if s in ledger.ours), *(a.sample_id for a in ledger.lost)]
    made = across_projects.once(tx, project, made, samples=about, leaving=leaving, held=bool(changes.held))
    fresh = [answer for answer in now if answer.annotation not in ledger.before]
    _append(tx, project, pulled, made, fresh=fresh, changes=changes)
    answers.add(tx, project, fresh, votes.annotator_keys(tx, {a.annotator for a in now}))
    before = ledger.before
    told = [a for a in now if a.form is not None and a.annotation in before and before[a.annotation].form != a.form]
    answers.tell_forms(tx, project, told)
    changes.withdrawn = _withdraw(tx, project, vanished, ANSWER_DELETED)
    if not changes.held and pulled.there is not None:
        changes.tasks_deleted = _gone(tx, project, pulled.there, pulled.tasks_before)
        changes.withdrawn += _withdraw(tx, project, {a.annotation for a in ledger.lost}, TASK_DELETED)
    return changes


def known_of(conn: Connection, project: Project, seen: Sequence[RemoteTask]) -> dict[str, Known]:
    """What the ledger knows of the answers of these tasks, by origin."""
    origins = [project.origin(answer.id) for task in seen for answer in task.annotations]
    return votes.known(conn, origins, refused=votes_from_answers.COPIES)


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


def _look_up(
    conn: Connection, project: Project, pulled: PulledTasks, by_sample: Mapping[str, Sequence[RemoteTask]]
) -> _Ledger:
    gone = [] if pulled.there is None else sorted(pulled.tasks_before.keys() - pulled.there.keys())
    return _Ledger(
        ours=samples.keys(conn, list(by_sample)),
        state={task.sample_id: task for task in remotes.tasks(conn, project)},
        before={a.annotation: a for a in answers.find(conn, project, by_task=[task.id for task in pulled.tasks])},
        lost=answers.find(conn, project, by_task=gone) if gone else [],
        known=known_of(conn, project, pulled.tasks),
    )


def _strange(ledger: _Ledger, by_sample: Mapping[str, Sequence[RemoteTask]]) -> dict[str, int]:
    """The first task of each of our samples for which the catalog knows none, or one that was deleted."""
    found: dict[str, int] = {}
    for sample_id, group in by_sample.items():
        held = ledger.state.get(sample_id)
        if sample_id in ledger.ours and (held is None or held.task is None or held.state == "deleted"):
            found[sample_id] = min(task.id for task in group)
    return found


def _read(
    project: Project, pulled: PulledTasks, by_sample: Mapping[str, Sequence[RemoteTask]], ledger: _Ledger
) -> tuple[list[Vote], list[RecordedAnswer]]:
    """The votes that these tasks say, and the answers they stand for."""
    terms = votes_from_answers.AnswerTerms(
        classes=pulled.classes,
        guesses=pulled.guesses,
        known=ledger.known,
        theirs=pulled.theirs,
        several=pulled.several,
    )

    def annotator_of(answer: RemoteAnnotation) -> str:
        if answer.completed_by is not None:
            return pulled.names[answer.completed_by]
        earlier = ledger.before.get(answer.id)  # the account was deleted since: what was known of it stays
        return earlier.annotator if earlier else pseudonyms.departed(answer.id)

    made: list[Vote] = []
    now: list[RecordedAnswer] = []
    for sample_id, group in by_sample.items():
        if sample_id not in ledger.ours:
            continue
        held = ledger.state.get(sample_id)
        given = [(task.id, answer) for task in group for answer in task.annotations]
        now += [
            RecordedAnswer(
                answer.id,
                task,
                sample_id,
                annotator_of(answer),
                votes_from_answers.form(answer, forms=pulled.forms, terms=terms),
            )
            for task, answer in given
        ]
        made += votes_from_answers.votes(
            [answer for _, answer in given],
            terms,
            sample_id=sample_id,
            annotator_of=annotator_of,
            origin_of=lambda answer: project.origin(answer.id),
            round_number=held.round if held else None,
        )
    return made, now


def _ceasing(tx: Connection, project: Project, made: Sequence[Vote], leaving: set[str]) -> tuple[set[str], int]:
    """The origins of counted votes that would cease to count, and how many votes of the project count."""
    ceasing = {vote.origin for vote in made if vote.rejected == votes_from_answers.EMPTY} | leaving
    counted = votes.counted(tx, project.origin_of) if ceasing else set()
    return ceasing & counted, len(counted)


def _append(
    tx: Connection,
    project: Project,
    pulled: PulledTasks,
    made: Sequence[Vote],
    *,
    fresh: Sequence[RecordedAnswer],
    changes: LedgerChanges,
) -> None:
    """Append what is new or edited to the ledger, and count it."""
    others = {a.id for task in pulled.tasks for a in task.annotations if in_another_name(a)}
    ours = app_answers.written_through(tx, project, others & {answer.annotation for answer in fresh})
    borrowed = {project.origin(annotation) for annotation in others - ours}
    changes.by_others = votes.append(tx, [vote for vote in made if vote.origin in borrowed])
    changed = changes.by_others + votes.append(tx, [vote for vote in made if vote.origin not in borrowed])
    origins = {project.origin(answer.annotation) for answer in fresh}
    changes.new = len(origins)
    changes.edited = max(0, changed - len(origins))
    changes.rejected = Counter(v.rejected for v in made if v.rejected is not None and v.origin in origins)


def _withdraw(tx: Connection, project: Project, annotations: set[int], reason: str) -> int:
    answers.forget(tx, project, annotations)
    return votes.withdraw(tx, [project.origin(annotation) for annotation in annotations], reason)
