"""Whose votes are enough: what ``labeling.votes = "1..5"`` decides about the samples that were sent to the team."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from sqlalchemy import Connection

    from emolab.labeling.labels.label_recipe import LabelRecipe
    from emolab.records import GuessedAnswer, Model, Predictions, Suggestion, VoteTable
    from emolab.workspace import Workspace

STRATEGY = "votes"
#: What people answer that is no class, taken together.
NO_CLASS = "no class"


@dataclass(frozen=True, kw_only=True)
class Revote:
    """A sample that wants one more opinion: ``score`` is the chance that its label is wrong, ``reason`` says why.

    ``whom`` is the annotator who would tell most; ``None``: anybody who has not seen it yet.
    """

    sample_id: str
    score: float
    reason: str
    whom: str | None


@dataclass(frozen=True, kw_only=True)
class Review:
    """Answered samples of the team: ``enough`` votes, ``waiting`` for an answer asked for, ``given_up`` as ambiguous.

    ``wanted`` are those that one more person should see, the most doubtful first.
    """

    enough: int = 0
    waiting: int = 0
    given_up: int = 0
    wanted: list[Revote] = field(default_factory=list)

    def states(self) -> dict[str, int]:
        """How many samples are in which state, by its name."""
        return {
            "enough": self.enough,
            "waiting": self.waiting,
            "want_one_more": len(self.wanted),
            "given_up": self.given_up,
        }


def wanted_revotes(workspace: Workspace, predictions: Predictions | None = None) -> list[Revote]:
    """The samples that one more person should see, the most doubtful first; none while every sample gets as many votes.

    ``predictions`` of a model count as one more opinion where it has not learned from these samples.
    """
    return review(workspace, predictions).wanted


def review(workspace: Workspace, predictions: Predictions | None = None) -> Review:
    """Every sample that the team has answered, judged by its votes, the people's habits and ``predictions``.

    What must be right is the label that the votes get, made as the current labels are. Where somebody answered with a
    guess on the form, the model's opinion is in the votes already and does not count once more.
    Samples whose task still waits for somebody, for which a suggestion waits to be sent, or whose consent has ended are
    not asked about again.
    Nothing is stored: the same votes give the same answer.
    """
    import numpy as np

    from emolab.catalog import tallies
    from emolab.catalog.campaign import guesses
    from emolab.catalog.privacy import consents
    from emolab.labeling.labels.current_labels import current_recipe
    from emolab.taxonomy import META
    from emolab.votes.sufficiency import ENOUGH, ONE_MORE, decide
    from emolab.votes.table import one_each

    labeling, classes = workspace.config.labeling, workspace.config.project.classes
    with workspace.catalog() as catalog, catalog.connect() as conn:
        asked = with_the_team(conn)
        may = consents.allowed(conn, "label", required=workspace.config.privacy.consent_required)
        votes = _of_the_team(tallies.table(conn, (*classes, *META)), len(classes), asked.keys())
        one_each(votes, "labeling.votes as a range", "Say how many people a sample gets: --set labeling.votes=3")
        guessed, led = guesses.answers(conn), guesses.answered_with_one(conn)
    waiting = [asked[sample] for sample in votes.samples]
    probs = _aligned(predictions, votes.samples, classes)
    if probs is not None:
        probs[np.array([sample in led for sample in votes.samples], dtype=bool)] = np.nan
    made = _labels(votes, current_recipe(workspace), guessed)
    found = decide(votes, wanted=labeling.wanted, sure=labeling.sure, probs=probs, labels=made)
    states = Counter("waiting" if w else int(s) for s, w in zip(found.state.tolist(), waiting, strict=True))
    wanted = [
        _revote(votes, row, float(found.chance[row]), int(found.whom[row]), probs)
        for row in found.chance.argsort(kind="stable").tolist()
        if found.state[row] == ONE_MORE and not waiting[row] and votes.samples[row] not in may.barred
    ]
    given_up = sum(count for state, count in states.items() if state not in ("waiting", ENOUGH, ONE_MORE))
    return Review(enough=states[ENOUGH], waiting=states["waiting"], given_up=given_up, wanted=wanted)


def propose_revotes(workspace: Workspace, *, most: int | None = None, dry_run: bool = False) -> int:
    """Store what :func:`review` wants as a round of suggestions to ask once more, and return how many there are.

    With ``most`` only so many, the most doubtful ones. Doing it again before they are sent and answered stores nothing,
    and so does ``dry_run``. Raises :class:`DataError` where ``labeling.votes`` is no range.
    """
    from emolab.catalog.campaign import rounds
    from emolab.errors import DataError

    labeling = workspace.config.labeling
    if not labeling.wanted.adaptive:
        raise DataError(
            f"Every sample gets {labeling.wanted} votes, so no answer decides whether one more is needed.",
            hint="Say between how many: --set labeling.votes=1..5, or put it into emolab.toml.",
        )
    with workspace.lock("suggest"):
        model = opinion(workspace)
        wanted = review(workspace, model).wanted[:most]
        if dry_run or not wanted:
            return len(wanted)
        with workspace.catalog() as catalog, catalog.begin() as tx:
            number = rounds.next_number(tx)
            rounds.create(
                tx,
                [_suggestion(each, number, rank) for rank, each in enumerate(wanted)],
                strategy=STRATEGY,
                model=model.model_id if model else None,
                seed=0,
                settings={"votes": str(labeling.wanted), "sure": labeling.sure},
            )
    return len(wanted)


def opinion(workspace: Workspace) -> Predictions | None:
    """What :func:`unlearned_predictions` gives, where ``labeling.model_opinion`` lets it count; else ``None``."""
    return unlearned_predictions(workspace) if workspace.config.labeling.model_opinion else None


def unlearned_predictions(workspace: Workspace) -> Predictions | None:
    """What the champion has said about the team's samples that it never learned from; ``None`` where none is stored.

    Samples of valid, test and holdout are left out: a model must not decide how well its judges are labelled.
    """
    from emolab.catalog import models, samples
    from emolab.catalog import snapshots as stored
    from emolab.inference import prediction_store as predictions
    from emolab.provenance import snapshots
    from emolab.records import HOLDOUT

    with workspace.catalog() as catalog, catalog.connect() as conn:
        model = models.find(conn, "champion")
        if model is None:
            return None
        folder = workspace.predictions_folder / model.id
        asked = with_the_team(conn)
        known = [sample for sample in predictions.known(folder) if sample in asked]
        snapshot = stored.find(conn, model.snapshot)
        splits = samples.splits(conn, known)
    if not known:
        return None
    if snapshot is not None:
        learned = set(snapshots.read(workspace.root / snapshot.path).ids)
    else:  # not trained here: a start network that is champion
        told = _recorded(workspace, model, known)
        if told is None:
            return None
        learned = told
    judging = {sample for sample, split in splits.items() if split in ("valid", "test", HOLDOUT)}
    free = [sample for sample in known if sample not in learned and sample not in judging]
    return predictions.read(folder, free) if free else None


def _recorded(workspace: Workspace, model: Model, ids: Sequence[str]) -> set[str] | None:
    """Those of the samples ``ids`` that a model has learned by the record that it carries; ``None`` without one."""
    from emolab.loop.sample_files import media_of
    from emolab.training.learned import fingerprints
    from emolab.training.learned import learned_images as learned

    record = learned.read(workspace.root / model.path / learned.FILE, of=model.id[:10])
    if record.unknown:
        return None
    prints = fingerprints.fill(workspace.cache, ids, media_of(workspace))
    return {sample for sample, known in zip(ids, record.answers.has(prints).tolist(), strict=True) if known}


def with_the_team(conn: Connection) -> dict[str, bool]:
    """Every sample that lies with the team, and whether an answer or a request to ask once more is still on its way."""
    from emolab.catalog.campaign import answers, remotes, rounds
    from emolab.records import SKIPPED

    found: dict[str, bool] = {}
    for project in remotes.projects(conn):
        given = answers.counts(conn, project, besides=SKIPPED)
        for task in remotes.tasks(conn, project, "pending", "sending", "open", "reopening"):
            waits = given.get(task.sample_id, 0) < task.overlap
            found[task.sample_id] = waits or found.get(task.sample_id, False)
    for each in rounds.suggestions(conn, unsent=True):
        if each.kind == "revote" and each.sample_id in found:
            found[each.sample_id] = True
    return found


def _of_the_team(table: VoteTable, k: int, ids: Container[str]) -> VoteTable:
    """The votes on samples of ``ids``, with all that is none of the first ``k`` classes as one class more."""
    from dataclasses import replace

    import numpy as np

    from emolab.votes.table import with_votes

    kept = np.isin(table.sample, [row for row, sample in enumerate(table.samples) if sample in ids])
    return with_votes(
        replace(
            table,
            classes=(*table.classes[:k], NO_CLASS),
            sample=table.sample[kept],
            annotator=table.annotator[kept],
            label=np.minimum(table.label[kept], k).astype(np.int16),
            weight=table.weight[kept],
        ),
        1,
    )


def _labels(votes: VoteTable, recipe: LabelRecipe, guessed: Sequence[GuessedAnswer]) -> NDArray[np.int64]:
    """The class of each sample by ``recipe``; the last one where half of the people name no class."""
    from dataclasses import replace

    import numpy as np

    from emolab.labeling.labels import anchored_votes
    from emolab.plugins import AGGREGATORS
    from emolab.votes.table import counts

    k = len(votes.classes) - 1
    here = votes.label < k
    voted = replace(
        votes, classes=votes.classes[:k], sample=votes.sample[here], annotator=votes.annotator[here],
        label=votes.label[here], weight=votes.weight[here],
    )  # fmt: skip
    weights = anchored_votes.by_setting(voted, guessed, recipe.anchoring)
    weighed = voted if weights is None else replace(voted, weight=weights)
    made = AGGREGATORS.load(recipe.method)(weighed, recipe.options)
    table = counts(votes)
    return np.where(2 * table[:, k] >= table.sum(axis=1), k, np.asarray(made).argmax(axis=1))


def _aligned(
    predictions: Predictions | None, samples: list[str], classes: tuple[str, ...]
) -> NDArray[np.float64] | None:
    """The model's probabilities by sample and project class, NaN where it says nothing; ``None``: other classes."""
    import numpy as np

    if predictions is None or set(predictions.classes) != set(classes):
        return None
    found = np.full((len(samples), len(classes)), np.nan)
    place = {sample: row for row, sample in enumerate(predictions.samples)}
    order = [predictions.classes.index(name) for name in classes]
    rows = [(row, place[sample]) for row, sample in enumerate(samples) if sample in place]
    if rows:
        here, there = zip(*rows, strict=True)
        found[list(here)] = np.asarray(predictions.probs, dtype=np.float64)[list(there)][:, order]
    return found


def _revote(votes: VoteTable, row: int, chance: float, whom: int, probs: NDArray[np.float64] | None) -> Revote:
    import numpy as np

    from emolab.active_learning.selection.revote import reason

    here = votes.sample == row
    people = np.bincount(votes.label[here], votes.weight[here], len(votes.classes)).astype(np.float64)
    said = reason(people, None if probs is None else probs[row], votes.classes)
    who = None if whom < 0 else votes.annotators[whom]
    return Revote(
        sample_id=votes.samples[row],
        score=1 - chance,
        reason=f"{said}; ten people would agree with a chance of {chance:.2f}"
        + (f"; {who} would tell most" if who else ""),
        whom=who,
    )


def _suggestion(wanted: Revote, number: int, rank: int) -> Suggestion:
    from emolab.records import Suggestion

    return Suggestion(
        sample_id=wanted.sample_id, score=wanted.score, reason=wanted.reason, strategy=STRATEGY, round=number,
        rank=rank, kind="revote",
    )  # fmt: skip
