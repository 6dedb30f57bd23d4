"""Where the project stands in the loop, whether the workspace is healthy, and what to type next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from emolab.catalog import labels, models, samples, tallies
from emolab.catalog.campaign import app_answers, remotes, rounds
from emolab.labeling.labels.current_labels import standing
from emolab.notebook.command_names import in_python
from emolab.results import Result, Table, in_words
from emolab.training.runs import run_folders
from emolab.words import many, push_command, short

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from emolab.catalog.campaign.app_answers import AppCounts
    from emolab.records import Model
    from emolab.workspace import Workspace

#: Up to how many bytes a catalog is read through each time: this takes about 0.2 s.
ALWAYS_CHECKED = 64 * 2**20
#: What puts wrong counts right.
REPAIR = "emolab status --repair"
#: The metrics of a model that are told in one line.
HEADLINE = ("accuracy", "macro_f1", "ece")


@dataclass(frozen=True, kw_only=True)
class LabelState:
    """The current labels: how many, per class, ``made_by`` what, why they are ``outdated``, what the settings say.

    ``outdated`` and ``settings_say`` are ``None`` where there is nothing to say; ``installed`` tells whether their
    aggregator is still there.
    """

    version: str
    method: str
    n: int
    created_at: str
    per_class: Mapping[str, int]
    made_by: str
    min_votes: int
    prior: float
    outdated: str | None
    settings_say: str | None
    installed: bool

    def lines(self) -> list[str]:
        """How they were made, then what to know about that."""
        return [
            f"by {self.made_by}" + ("" if self.installed else " (not installed any more)"),
            *([f"outdated: {self.outdated}"] if self.outdated else []),
            *([f"the settings say {self.settings_say}"] if self.settings_say else []),
        ]


@dataclass(frozen=True, kw_only=True)
class Champion:
    """The model in use and its headline ``metrics`` on the valid split.

    ``replace`` is the command by which another one takes its place, where it learned from samples that were forgotten
    since; ``None`` where it did not.
    """

    id: str
    metrics: Mapping[str, float]
    replace: str | None = None

    def lines(self) -> list[str]:
        """What to know about it."""
        if self.replace is None:
            return []
        return [f"the champion learned from samples that were forgotten since; to replace it: {self.replace}"]


@dataclass(frozen=True, kw_only=True)
class TrainingState:
    """A training that is ``running``, or one that stopped after ``epoch`` of ``epochs``."""

    running: bool
    epoch: int | None = None
    epochs: int | None = None


@dataclass(frozen=True, kw_only=True)
class Status(Result):
    """Counts along the loop, ``problems`` of the workspace, and the ``next`` command.

    ``checked`` tells whether the catalog's file was read through. ``miscounts`` are the counts that differ from what
    the rows say; they are looked for only when asked.

    ``answered`` samples have an answer, ``waiting`` ones lie on a labelling server without one, ``unfinished`` ones
    with fewer than asked for. ``votes`` are counted by kind. ``untrained``: the labels are newer than every model.
    ``app`` counts answers of the app that wait for Label Studio, or that it refused.
    """

    workspace: str
    project: str
    classes: Sequence[str]
    problems: Sequence[str]
    checked: bool
    miscounts: Sequence[str]
    samples: int
    sources: Mapping[str | None, int]
    splits: Mapping[str, int]
    answered: int
    waiting: int
    unfinished: int
    votes: Mapping[str, int]
    annotators: int
    labels: LabelState | None
    models: int
    champion: Champion | None
    untrained: bool
    rounds: int
    unsent: int
    push: str
    training: TrainingState | None
    advice: str | None
    app: AppCounts

    @property
    def healthy(self) -> bool:
        """Whether nothing is wrong with the workspace."""
        return not self.problems and not self.miscounts

    @property
    def next(self) -> str:
        """What to type next."""
        return next_command(self)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data, as ``emolab status --json`` prints it."""
        found = asdict(self)
        if self.training is not None and self.training.running:
            found["training"] = {"running": True}
        head = {name: found.pop(name) for name in ("workspace", "project", "classes")}
        return {**head, "healthy": self.healthy, **found, "next": self.next}

    def tables(self) -> list[Table]:
        """Counts along the loop, what is wrong, the labels by class, and what comes next."""
        labels, best = self.labels, self.champion
        rows = [
            ("samples", self.samples, self.sources),
            ("votes", self.votes["people"], many(self.annotators, "annotator") if self.annotators else ""),
            ("answered", self.answered, f"{self.waiting:,} waiting for an answer"),
            ("labels", labels.n if labels else 0, "; ".join(labels.lines()) if labels else ""),
            ("models", self.models, f"champion {short(best.id)}: {in_words(best.metrics)}" if best else ""),
            ("rounds", self.rounds, f"{self.unsent:,} suggestions not sent yet"),
        ]
        told: list[tuple[str, str | None]] = [("problem", line) for line in self.problems]
        told += [("champion", line) for line in (best.lines() if best else ())]
        told += [("advice", self.advice)] if self.advice else []
        told += [("app", line) for line in self.app.lines()]
        told += [("next", self.next), ("in Python", in_python(self.next))]
        return [
            Table(f"{self.project}: {self.workspace}", ("", "count", ""), rows),
            Table("Healthy" if self.healthy else "Not healthy", (), told),
            *([Table("Labels by class", ("class", "samples"), list(labels.per_class.items()))] if labels else []),
        ]


@dataclass(frozen=True, slots=True)
class RepairedCounts(Result):
    """The counts of the catalog that were wrong, in words; none: all were right."""

    miscounts: list[str]


def repair_counts(workspace: Workspace) -> RepairedCounts:
    """Count everything in the catalog again, keep that, and tell what was wrong.

    Raises :class:`DataError` for a catalog that cannot be read.
    """
    with workspace.catalog() as catalog:
        return RepairedCounts(catalog.recount())


def status(workspace: Workspace, *, check: bool = False) -> Status:
    """Where the project stands: counts along the loop, problems, and the next command.

    With ``check`` the catalog's file is read through however large it is, and every count is compared with the rows.
    What is wrong is among the problems, which is no error.
    """
    from emolab.labeling.sync.project import title_of

    with workspace.catalog() as catalog:
        whole = check or catalog.size() <= ALWAYS_CHECKED
        problems = workspace.problems(catalog, whole=whole)
        miscounts = catalog.miscounts() if check else []
        with catalog.connect() as conn:
            held, trained = models.aliases(conn), models.made_at(conn)
            best = models.find(conn, held["champion"]) if "champion" in held else None
            stands = label_state(workspace, conn)
            n_samples, answered, votes = samples.count(conn), samples.count_answered(conn), tallies.count(conn)
            return Status(
                workspace=str(workspace.root),
                project=workspace.config.project.name,
                classes=list(workspace.config.project.classes),
                problems=problems,
                checked=whole,
                miscounts=miscounts,
                samples=n_samples,
                sources=samples.count_by(conn, "source"),
                splits={split or "none": n for split, n in samples.count_by(conn, "split").items()},
                answered=answered,
                waiting=samples.count_waiting(conn),
                unfinished=samples.count_unfinished(conn),
                votes=votes,
                annotators=tallies.count_annotators(conn),
                labels=stands,
                models=len(trained),
                champion=None if best is None else _champion(conn, best, held),
                untrained=bool(trained) and _newer(stands, trained),
                rounds=rounds.count(conn),
                unsent=rounds.count_unsent(conn) + remotes.count_left_over(conn, title_of(workspace.config)),
                push=push_command(n_samples - answered, workspace.config.suggest.n),
                training=_training(workspace, trained),
                advice=_advice(workspace, best, stands, votes["people"]),
                app=app_answers.counts(conn),
            )


def label_state(workspace: Workspace, conn: Connection) -> LabelState | None:
    """What is known of the current labels; ``None`` before the first aggregation."""
    summary, stands = labels.summary(conn), standing(workspace, conn)
    if summary is None or stands is None:
        return None
    return LabelState(
        **summary,
        made_by=str(stands.recipe),
        min_votes=stands.recipe.min_votes,
        prior=stands.recipe.options.prior,
        outdated=stands.outdated or None,
        settings_say=stands.settings_say or None,
        installed=stands.installed,
    )


def next_command(state: Status) -> str:
    """What to type next, given where the project stands."""
    training, outdated = state.training, state.labels is not None and bool(state.labels.outdated)
    steps = (
        (bool(state.problems), "emolab doctor"),
        (bool(state.miscounts), REPAIR),
        (state.samples == 0, "emolab collect PATH"),
        (state.unsent > 0, "emolab label push"),
        (state.votes["active"] == 0 and state.waiting == 0, f"emolab studio up && {state.push}"),
        (state.votes["active"] == 0, "emolab label pull"),
        (state.labels is None, "emolab label aggregate"),
        (training is not None and not training.running, "emolab train --resume"),
        (state.models == 0 and training is not None, "emolab status"),  # it is being made
        (state.models == 0, "emolab train"),
        (state.champion is not None and state.champion.replace is not None, _replacing(state)),
        (state.waiting > 0, "emolab label pull"),
        (state.untrained or outdated, "emolab train"),
    )
    return next((command for applies, command in steps if applies), "emolab suggest -n 100 --push")


def _replacing(state: Status) -> str:
    """What puts another model in the place of a champion that has to go; "" where it has not."""
    return (state.champion and state.champion.replace) or ""


def _newer(stands: LabelState | None, trained: Mapping[str, str]) -> bool:
    """Whether the current labels are newer than every model."""
    made = max(datetime.fromisoformat(moment) for moment in trained.values())
    return stands is not None and datetime.fromisoformat(stands.created_at) > made


def _training(workspace: Workspace, trained: Mapping[str, str]) -> TrainingState | None:
    """Whether a training is running, else how far one got that did not end, unless a model was made since."""
    if workspace.busy("train"):
        return TrainingState(running=True)
    stopped = run_folders.last_stopped(workspace)
    newest = max((datetime.fromisoformat(moment).timestamp() for moment in trained.values()), default=0.0)
    if stopped is None or stopped.touched <= newest:
        return None
    return TrainingState(running=False, epoch=stopped.epoch, epochs=stopped.epochs)


def _advice(workspace: Workspace, best: Model | None, stands: LabelState | None, people: int) -> str | None:
    """What ``suggest --advise`` last said, as long as it holds."""
    from emolab.loop.label import advise

    if best is None or stands is None:
        return None
    kept = advise.read(workspace, best.id, stands.version, people)
    return None if kept is None else kept.sentence


def _champion(conn: Connection, best: Model, held: Mapping[str, str]) -> Champion:
    """The model in use; ``held`` are the models by their names."""
    from emolab.catalog.registry import model_events
    from emolab.catalog.registry.replay import CONTAINS_FORGOTTEN

    flagged = {model for model, flags in model_events.state(conn).flags.items() if CONTAINS_FORGOTTEN in flags}
    without = held.get("candidate", best.id) not in flagged
    replace = "emolab models promote candidate" if without else "emolab train"
    return Champion(id=best.id, metrics=_headline(best), replace=replace if best.id in flagged else None)


def _headline(model: Model) -> dict[str, float]:
    metrics = model.metrics.get("valid", {})
    return {key: float(metrics[key]) for key in HEADLINE if key in metrics}
