"""The queue learns while people vote: open tasks in a new order, by a head that knows the answers so far.

1. Due after ``labeling.relearn`` new votes since the last time (at first: since the champion was made).
2. The champion's last layer is solved again on the answers that it has not learned from.
3. Within each round, what somebody has begun comes first, then the others: those between two classes before clear ones.
   Samples that were drawn at random and second opinions keep their places, as a fair part of a round left half-way.

The new places are in the catalog before the server has them, and the event that ends it is written last: whatever cuts
it off, the next pull does it again.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from emolab.progress import SILENT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from emolab.catalog import Catalog
    from emolab.catalog.campaign.remotes import Project, ProjectTask
    from emolab.catalog.privacy.consents import Allowed
    from emolab.labeling.label_studio.client import Studio
    from emolab.labeling.sync.reconcile_tasks import Link
    from emolab.progress import Progress
    from emolab.records import LabelSet, Model
    from emolab.workspace import Workspace

#: The kind of the events that say when the queue was put in a new order.
EVENT = "relearn"


@dataclass(frozen=True)
class _Due:
    """What is to be done: the queues of ``projects``, by the opinion of ``model`` and the votes up to ``mark``."""

    model: Model
    projects: Sequence[Project]
    mark: int
    votes: int


@dataclass(frozen=True, kw_only=True)
class Renewal:
    """How many open tasks have got a new place, and what kept the queue from a new order that was due."""

    tasks: int = 0
    problem: str = ""


def relearn(workspace: Workspace, studio: Studio, *, progress: Progress = SILENT) -> Renewal:
    """Put the open tasks in a new order where that is due.

    Nothing is done while a push runs, for that sends an order itself. Where something is missing (predictions of the
    champion, a server that answers) the queue keeps its order, and the next pull tries again.
    """
    from emolab.errors import EmolabError
    from emolab.labeling.label_studio.retry import told_to

    if not workspace.config.labeling.relearn:
        return Renewal()
    with workspace.catalog() as catalog, ExitStack() as stack:
        if _due(workspace, catalog, studio) is None:
            return Renewal()
        try:
            stack.enter_context(workspace.lock("push"))
        except EmolabError:
            return Renewal()
        stack.enter_context(told_to(progress))
        due = _due(workspace, catalog, studio)  # another process may have been quicker
        if due is None:
            return Renewal()
        try:
            return Renewal(tasks=_renew(workspace, catalog, studio, due))
        except EmolabError as error:
            return Renewal(problem=" ".join(filter(None, (error.message, error.hint))))


def _due(workspace: Workspace, catalog: Catalog, studio: Studio) -> _Due | None:
    """What is to be done now; ``None`` without a champion, or with fewer new votes than the settings ask for."""
    from emolab.catalog import events, models, votes
    from emolab.catalog.campaign import remotes

    with catalog.connect() as conn:
        model = models.find(conn, "champion")
        if model is None:
            return None
        last = events.latest(conn, EVENT, limit=1)
        mark, moment = (int(last[0]["detail"]["vote"]), "") if last else (0, model.created_at)
        projects = [p for p in remotes.projects(conn, server=studio.server_id) if not p.gone]
        new = sum(votes.counted_after(conn, p.origin_of, mark=mark, moment=moment) for p in projects)
        return _Due(model, projects, votes.newest(conn), new) if new >= workspace.config.labeling.relearn else None


def _renew(workspace: Workspace, catalog: Catalog, studio: Studio, due: _Due) -> int:
    from emolab.catalog import events
    from emolab.labeling.sync import queue_order
    from emolab.labeling.sync.reconcile_tasks import Link

    links = [Link(catalog, studio, project) for project in due.projects]
    queues = [(link, tasks) for link in links if (tasks := queue_order.queue(link))]
    if not queues:
        return 0
    scores = _scores(workspace, catalog, [task.sample_id for _, tasks in queues for task in tasks])
    moved = 0
    for link, tasks in queues:
        ranks = _ranks(link, tasks, scores)
        before = [task.sample_id for task in tasks]
        after = sorted(before, key=lambda sample_id: ranks[sample_id])
        moved += sum(old != new for old, new in zip(before, after, strict=True))
        if scores:  # also where nothing moves: an earlier pull may have been cut off before the server knew
            queue_order.renew(link, {sample_id: place for sample_id, (_, place) in ranks.items()})
    with catalog.begin() as tx:
        events.record(tx, EVENT, {"model": due.model.id, "vote": due.mark, "votes": due.votes, "tasks": moved})
    return moved


def _scores(workspace: Workspace, catalog: Catalog, waiting: Sequence[str]) -> dict[str, float]:
    """How much a vote on each of ``waiting`` is worth now; samples that the model knows nothing of are left out.

    Empty where no answer is new to the model. Raises :class:`DataError` where the champion has no predictions.
    """
    import numpy as np

    from emolab.active_learning.selection.relearn import relearn as solve
    from emolab.errors import DataError
    from emolab.loop.label.revotes import unlearned_predictions

    found = unlearned_predictions(workspace)
    if found is None:
        raise DataError(
            "The champion has no predictions for these samples, so the queue keeps its order.",
            hint="Make them with: emolab suggest",
        )
    labels, may = _labels(workspace, catalog)
    if set(labels.classes) != set(found.classes):
        raise DataError(
            "The champion has other classes than the project, so the queue keeps its order.",
            hint="Train again with: emolab train",
        )
    place = {sample_id: row for row, sample_id in enumerate(found.samples)}
    answered = [
        row for row, sample_id in enumerate(labels.samples) if sample_id in place and sample_id not in may.barred
    ]
    asked = [sample_id for sample_id in waiting if sample_id in place]
    if not answered or not asked:
        return {}
    taught = np.array([place[labels.samples[row]] for row in answered])
    rows = np.array([place[sample_id] for sample_id in asked])
    columns = [labels.classes.index(name) for name in found.classes]
    said = solve(
        found.embeddings[taught], found.probs[taught], labels.probs[answered][:, columns],
        found.embeddings[rows], found.probs[rows],
    )  # fmt: skip
    return {sample_id: float(score) for sample_id, score in zip(asked, said.scores, strict=True)}


def _labels(workspace: Workspace, catalog: Catalog) -> tuple[LabelSet, Allowed]:
    """The labels of today's votes, made the way the stored ones were, and what may be learned. Nothing is stored."""
    from emolab.catalog.privacy import consents
    from emolab.labeling.labels import aggregate
    from emolab.labeling.labels.current_labels import current_recipe

    recipe = current_recipe(workspace)
    with catalog.connect() as conn:
        found = aggregate.ballots(conn, workspace.config.project.classes, recipe.perspective)
        may = consents.allowed(conn, "train", required=workspace.config.privacy.consent_required)
    return aggregate.labels_of(found, recipe), may


def _ranks(link: Link, tasks: Sequence[ProjectTask], scores: Mapping[str, float]) -> dict[str, tuple[int, int]]:
    """For each of ``tasks``, which come in the queue's order, the number of its round in the queue and its new place.

    What somebody has begun is first in its round.
    """
    import numpy as np

    from emolab.active_learning.selection.relearn import rearranged
    from emolab.labeling.sync import queue_order

    begun, kept = queue_order.begun(link), _kept(link)
    found: dict[str, tuple[int, int]] = {}
    for number, round_number in enumerate(dict.fromkeys(task.round for task in tasks)):
        own = [task.sample_id for task in tasks if task.round == round_number]
        fresh = [sample_id for sample_id in own if sample_id not in begun]
        order = rearranged(
            np.array([scores.get(sample_id, np.nan) for sample_id in fresh]),
            np.array([(round_number, sample_id) in kept for sample_id in fresh], dtype=bool),
        )
        placed = [*(sample_id for sample_id in own if sample_id in begun), *(fresh[i] for i in order.tolist())]
        found |= {sample_id: (number, place) for place, sample_id in enumerate(placed)}
    return found


def _kept(link: Link) -> set[tuple[int | None, str]]:
    """Round and sample of what keeps its place: drawn at random, which measures the model, and second opinions."""
    from emolab.catalog.campaign import rounds

    with link.catalog.connect() as conn:
        return {
            (each.round, each.sample_id)
            for each in rounds.suggestions(conn)
            if each.kind == "revote" or each.strategy == "random"
        }
