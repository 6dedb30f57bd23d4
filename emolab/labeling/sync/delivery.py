"""From the outbox to the server: what was cut off is settled, new tasks are sent in order, answered ones reopened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from emolab.catalog.campaign import answers, remotes
from emolab.catalog.campaign import guesses as guessed
from emolab.catalog.privacy import consents
from emolab.labeling.label_studio.queries import newest_task
from emolab.labeling.label_studio.retry import patiently
from emolab.labeling.sync import merge_projects, queue_order, reconcile_tasks, task_payload
from emolab.labeling.sync.duplicate_tasks import Settled
from emolab.labeling.sync.outbox import Order, Sent, send, settle
from emolab.labeling.sync.reconcile_tasks import Link
from emolab.records import FormGuess

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection

    from emolab.catalog.privacy.consents import Allowed
    from emolab.labeling.label_studio.records import RemoteProject
    from emolab.labeling.sync.push_records import PushRequest
    from emolab.progress import Progress


def deliver(
    link: Link,
    remote: RemoteProject,
    surplus: Sequence[RemoteProject],
    request: PushRequest,
    *,
    root: Path,
    overlap: int,
    progress: Progress,
) -> tuple[Sent, int]:
    """Empty the outbox of the project; return what was sent and how many tasks were reopened.

    ``surplus`` are further projects of the same title, ``root`` the folder of the samples' files, ``overlap`` how many
    people see each sample.
    """
    sent = Sent()
    newest = patiently(lambda: newest_task(link.studio, remote.id), progress=progress)
    with link.catalog.connect() as conn:
        outbox = remotes.tasks(conn, link.project, "pending", "sending")
        may = consents.allowed(conn, "label", required=request.consent_required)
    sent.twins.add(strays(link, remote, (), overlap=overlap))
    unsure = [task for task in outbox if task.state == "sending"]
    lost = settle(link, unsure, sent.twins, task_number=remote.task_number)
    fresh = [task for task in outbox if task.state == "pending"]
    found = reconcile_tasks.find(link, [task.sample_id for task in fresh], task_number=remote.task_number)
    if found:
        sent.twins.add(reconcile_tasks.adopt(link, found, overlap=overlap))
    sent.adopted += len(found) + len(unsure) - len(lost)
    todo = {task.sample_id for task in lost} | {t.sample_id for t in fresh if t.sample_id not in found}
    outgoing = [task for task in outbox if task.sample_id in todo and task.sample_id not in may.barred]
    if held_back := may.told(todo):
        progress.note(held_back)
    version = queue_order.new_version()
    places = queue_order.scores(queue_order.queue(link))
    guesses = _guesses(link, places, request, sent)
    with progress.task("Sending to Label Studio", total=len(outgoing), unit="samples") as bar:
        send(link, outgoing, Order(version, places, guesses), root=root, sent=sent, bar=bar)
    sent.twins.add(reconcile_tasks.sweep(link, after=newest, overlap=overlap))
    sent.twins.add(merge_projects.settle_across(link, surplus, overlap=overlap))
    seen = request.visible or remote.show_predictions
    queue_order.apply(link, version, places, already=sent.scored, guesses=guesses, visible=seen)
    if unsure or sent.unknown:  # what was cut off may have come through meanwhile
        sent.twins.add(reconcile_tasks.sweep(link, after=newest, overlap=overlap))
    return sent, _reopen(link, may, progress)


def _guesses(link: Link, queue: Collection[str], request: PushRequest, sent: Sent) -> dict[str, FormGuess]:
    """The guesses that go with the forms of the samples in ``queue``, shown or hidden; the catalog is told of them."""
    guesses = {sample_id: request.guesses[sample_id] for sample_id in queue if sample_id in request.guesses}
    blind = {sample_id for sample_id in guesses if task_payload.stays_blind(sample_id, request.blind)}
    with link.catalog.begin() as tx:
        guessed.record(tx, link.project, guesses, tasks=queue, blind=blind, share=request.blind)
    sent.guesses, sent.blind = len(guesses) - len(blind), len(blind)
    return {name: FormGuess(guess, name not in blind, request.blind) for name, guess in guesses.items()}


def strays(link: Link, remote: RemoteProject, surplus: Sequence[RemoteProject], *, overlap: int) -> Settled:
    """Settle twins that came after the last push had looked; the number of tasks and the newest one tell of them."""
    with link.catalog.connect() as conn:
        known = remotes.known_tasks(conn, link.project)
    expected = len(known) + int((link.project.window or {}).get("others", 0))
    newest = patiently(lambda: newest_task(link.studio, remote.id))
    quiet = remote.task_number == expected and newest <= max(known, default=0)
    done = reconcile_tasks.sweep(link, after=newest if quiet else 0, overlap=overlap)
    done.add(merge_projects.settle_across(link, surplus, overlap=overlap))
    return done


def _reopen(link: Link, may: Allowed, progress: Progress) -> int:
    """Ask for one more opinion where that is wanted and allowed; repeating such a request changes nothing."""
    with link.catalog.connect() as conn:
        wanted = [task for task in remotes.tasks(conn, link.project, "reopening") if task.task is not None]
        waiting = [task for task in wanted if task.sample_id not in may.barred]
        elsewhere = _on_twins(conn, link.project, waiting)
    if not waiting:
        return 0
    with progress.task("Asking once more", total=len(waiting), unit="tasks") as bar:
        for task in waiting:
            number, people = task.task or 0, max(1, task.overlap - elsewhere[task.sample_id])
            patiently(lambda number=number, people=people: link.studio.reopen_task(number, overlap=people))  # type: ignore[misc]
            with link.catalog.begin() as tx:
                remotes.set_state(tx, link.project, [task.sample_id], "open")
            bar.advance()
    return len(waiting)


def _on_twins(conn: Connection, mine: remotes.Project, waiting: Sequence[remotes.ProjectTask]) -> Counter[str]:
    """How many people have answered each sample only on a task that left the queue: those are not asked for again."""
    main = {task.sample_id: task.task for task in waiting}
    here: dict[str, set[str]] = {sample_id: set() for sample_id in main}
    away: dict[str, set[str]] = {sample_id: set() for sample_id in main}
    for answer in answers.find(conn, mine, by_sample=sorted(main)):
        (here if answer.task == main[answer.sample_id] else away)[answer.sample_id].add(answer.annotator)
    return Counter({sample_id: len(away[sample_id] - here[sample_id]) for sample_id in main})
