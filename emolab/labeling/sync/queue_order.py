"""emolab's order, given to Label Studio as prediction scores.

Label Studio hands out the task with the lowest score first, but only looks at predictions of the project's current
model version. So every push writes one score per open task under a new version, switches the project to it, and
deletes the older ones. The scores carry no guess unless that is asked for: a visible guess anchors annotators.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from emolab.catalog.campaign import answers, remotes
from emolab.catalog.campaign import guesses as guessed
from emolab.catalog.storage.chunks import chunks
from emolab.errors import ServerError
from emolab.labeling.answers import parse
from emolab.labeling.label_studio.queries import carriers, drafted, model_versions
from emolab.labeling.label_studio.retry import patiently
from emolab.labeling.sync import task_payload
from emolab.records import SKIPPED, FormGuess

if TYPE_CHECKING:
    from emolab.catalog.campaign.remotes import ProjectTask
    from emolab.labeling.sync.reconcile_tasks import Link

_PREFIX = "emolab "
_PER_REQUEST = 2000
_ATTEMPTS = 5
_PAGE_STAYS_OPEN = timedelta(days=1)  # as long as Label Studio itself keeps a task for whoever opened it


def new_version() -> str:
    """A model version that no earlier push has used."""
    return _version(datetime.now(UTC))


def _version(moment: datetime) -> str:
    return _PREFIX + moment.strftime("%Y-%m-%d %H:%M:%S.%f")


def queue(link: Link) -> list[ProjectTask]:
    """Every task that still waits for answers, in emolab's order: newest round first, then by rank."""
    with link.catalog.connect() as conn:
        found = remotes.tasks(conn, link.project, "pending", "sending", "open", "reopening")
        given = answers.counts(conn, link.project, besides=SKIPPED)  # a skipped one goes to somebody else
    return [task for task in found if given.get(task.sample_id, 0) < task.overlap]


def scores(queue: Sequence[ProjectTask]) -> dict[str, float]:
    """A score between 0 and 1 for every sample of the queue, rising in its order."""
    n = max(1, len(queue))
    return {task.sample_id: round((i + 1) / n, 9) for i, task in enumerate(queue)}


def begun(link: Link) -> set[str]:
    """Sample ids of the tasks that somebody has answered, skipped or kept a draft of.

    Label Studio does not tell which tasks are only open on a screen. Those are no concern: it gives a person the task
    back that they have opened, whatever the order.
    """
    number = link.project.project
    drafts = set(patiently(lambda: drafted(link.studio, number)))
    with link.catalog.connect() as conn:
        given = answers.counts(conn, link.project)
        known = remotes.known_tasks(conn, link.project)
    return given.keys() | {sample_id for task, sample_id in known.items() if task in drafts}


def renew(link: Link, ranks: Mapping[str, int]) -> int:
    """Give waiting tasks their new ``ranks`` (by sample id) within their rounds, here and then on the server.

    The guesses on the forms stay as they are. Where this is cut off after the catalog has the ranks, the next push or
    renewal sends them. Returns how many scores were sent; raises what :func:`apply` raises.
    """
    remote = patiently(lambda: link.studio.project(link.project.project))
    with link.catalog.begin() as tx:
        remotes.set_ranks(tx, link.project, ranks)
        forms = guessed.standing(tx, link.project)
    if remote.show_predictions:
        forms |= _sent_by_others(link, remote.model_version)
    visible = remote.show_predictions
    return apply(link, new_version(), scores(queue(link)), already=set(), guesses=forms, visible=visible)


def _sent_by_others(link: Link, version: str) -> dict[str, FormGuess]:
    """The guesses of the order in force, whichever machine sent it, as far as they tell themselves; by sample id."""
    with link.catalog.connect() as conn:
        known = remotes.known_tasks(conn, link.project)
    found = {}
    for one in patiently(lambda: link.studio.predictions(link.project.project)):
        form = parse.read(one.result).form
        if one.version == version and one.task in known and form is not None:
            found[known[one.task]] = form
    return found


def apply(
    link: Link,
    version: str,
    score_of: Mapping[str, float],
    *,
    already: set[str],
    guesses: Mapping[str, FormGuess],
    visible: bool = False,
) -> int:
    """Give every task of ``score_of`` but those in ``already`` its score and make ``version`` the project's own.

    ``visible`` says whether people see predictions, or did until now. Returns how many scores were sent. Of two
    machines that do this at once the one with the newer version has the last word. Raises :class:`ServerError` when
    the server kept fewer scores than were sent or does not stay with an order.
    """
    number = link.project.project
    with link.catalog.connect() as conn:
        known = {t.sample_id: t.task for t in remotes.tasks(conn, link.project, "open", "reopening")}

    def rows(done: set[str]) -> list[dict[str, Any]]:
        return [
            {"task": known[sample_id], **task_payload.prediction(score, version, guess=guesses.get(sample_id))}
            for sample_id, score in score_of.items()
            if sample_id not in done and known.get(sample_id) is not None
        ]

    if not rows(set()):
        return 0
    missing = rows(already)
    sent = _send(link, missing) if missing else 0
    for attempt in range(_ATTEMPTS):
        try:
            patiently(lambda: link.studio.set_model_version(number, version))
        except ServerError as error:  # a 400 says that another machine's push has just removed this order as an old one
            if error.status != 400:
                raise
            if _holds(link, version):
                return sent
            if attempt == _ATTEMPTS - 1:
                raise
            sent = _send(link, rows(set()))
            continue
        _remove_older(link, version, visible=visible)
        if _holds(link, version):
            return sent
    raise ServerError(
        f"{link.studio.url} does not stay with one order of the queue: another push keeps changing it.",
        hint="Run emolab label push again when the other one has ended.",
        retryable=True,
    )


def _remove_older(link: Link, version: str, *, visible: bool) -> None:
    """Delete the scores of earlier pushes; what another machine removes meanwhile, or made later, is left alone.

    Where people see predictions, those of the last day stay: the answer from a page that is open now names the one it
    began from, and Label Studio refuses an answer that names one it no longer has.
    """
    number = link.project.project
    limit = min(version, _version(datetime.now(UTC) - _PAGE_STAYS_OPEN)) if visible else version
    for old in patiently(lambda: model_versions(link.studio, number)):
        if old.startswith(_PREFIX) and old < limit:
            patiently(lambda old=old: link.studio.delete_model_version(number, old))  # type: ignore[misc]


def _holds(link: Link, version: str) -> bool:
    """Whether this order, or a newer one of another machine, is in force: deleting the one in force leaves none."""
    now = patiently(lambda: link.studio.project(link.project.project)).model_version
    return now.startswith(_PREFIX) and now >= version


def _send(link: Link, rows: Sequence[Mapping[str, Any]]) -> int:
    """Store predictions for the tasks that still exist: one deleted task would make the server refuse them all."""
    number = link.project.project
    for attempt in range(_ATTEMPTS):
        there = {carrier.task for carrier in patiently(lambda: list(carriers(link.studio, number)))}
        left = [row for row in rows if row["task"] in there]
        try:
            for part in chunks(left, _PER_REQUEST):
                kept = patiently(lambda part=part: link.studio.import_predictions(number, part))  # type: ignore[misc]
                if kept != len(part):
                    raise ServerError(f"{link.studio.url} kept {kept} of {len(part)} places in the queue.")
            return len(left)
        except ServerError as error:
            if error.status != 400 or attempt == _ATTEMPTS - 1:
                raise  # else somebody deleted a task just now
    raise AssertionError("unreachable")
