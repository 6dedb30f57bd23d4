"""``emolab suggest --advise``: whether further votes are worth it, and what else is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emolab.notebook.command_names import in_python
from emolab.progress import SILENT
from emolab.results import Result, Table

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from emolab.active_learning.advice.advice import Finding
    from emolab.loop.label.advise_material import Lacking
    from emolab.progress import Progress
    from emolab.records import LabelSet, Model
    from emolab.workspace import Workspace

FILE = "when_to_stop.json"
#: Votes whose worth is told beside that of the next round.
VOTES = (100, 1000)


@dataclass(frozen=True, kw_only=True)
class Advice(Result):
    """What to do next: a ``sentence``, the figures behind it, and what to type.

    ``judge`` says what accuracy was measured on: ``random`` or ``valid``, ``None`` where there was too little and the
    sentence says of what. ``finding`` holds the figures as plain data, ``doubtful`` the doubted labels, worst first.
    ``model``, ``labels``, ``votes`` and the ``round``, how many samples get how many votes each, are what it was made
    from; it holds as long as they stay.
    """

    sentence: str
    next: str
    judge: str | None
    finding: dict[str, Any] | None
    doubtful: list[dict[str, Any]]
    model: str | None
    labels: str
    votes: int
    round: str

    def figures(self) -> list[tuple[str, str, str]]:
        """The figures behind the sentence as rows of a table: what, accuracy, and what it rests on."""
        return [] if self.finding is None else _figures(self.finding)

    def tables(self) -> list[Table]:
        """The sentence and what to type, the figures behind it, and the doubtful labels."""
        doubtful = [list(one.values()) for one in self.doubtful]
        return [
            Table("Advice", (), [("advice", self.sentence), ("next", self.next), ("in Python", in_python(self.next))]),
            *([Table("Figures", ("", "accuracy", "rests on"), self.figures())] if self.finding else []),
            *([Table("Doubtful labels", list(self.doubtful[0]), doubtful)] if doubtful else []),
        ]


def advise(workspace: Workspace, *, progress: Progress = SILENT) -> Advice:
    """What further votes would buy and what to do instead, on the votes there are now; makes no round.

    Labels are made again first where votes are newer. The answer is kept beside the champion's predictions until votes
    or labels change. Raises :class:`DataError` where nothing has been voted on or features cannot be had.
    """
    from emolab.catalog import models, tallies
    from emolab.labeling.labels.current_labels import current_labels
    from emolab.loop.label.advise_material import Lacking

    labels = current_labels(workspace, progress=progress)
    with workspace.catalog() as catalog, catalog.connect() as conn:
        model = models.find(conn, "champion")
        votes = tallies.count(conn)["people"]
    if model is None:
        untrained = Lacking("No model has been trained yet, and advice starts from one.", "emolab train")
        return _missing(workspace, untrained, labels, votes)
    kept = read(workspace, model.id, labels.version, votes)
    if kept is not None:
        return kept
    made = _measure(workspace, model, labels, votes, progress)
    _write(workspace.predictions_folder / model.id / FILE, made)
    return made


def read(workspace: Workspace, model: str, labels: str, votes: int) -> Advice | None:
    """The advice kept for this model, version of labels, number of votes and the settings; ``None``: there is none."""
    file = workspace.predictions_folder / model / FILE
    if not file.is_file():
        return None
    try:
        found = Advice(**json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, TypeError):
        return None
    made_from = found.model, found.labels, found.votes, found.round
    return found if made_from == (model, labels, votes, _round(workspace)) else None


def _write(file: Path, advice: Advice) -> None:
    from emolab.files import write_text

    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(file, json.dumps(advice.__dict__, indent=1) + "\n")


def _round(workspace: Workspace) -> str:
    """What the settings make of a round, in words."""
    return f"{workspace.config.suggest.n} samples, {workspace.config.labeling.wanted} votes each"


def _missing(
    workspace: Workspace, lacking: Lacking, labels: LabelSet, votes: int, model: Model | None = None
) -> Advice:
    return Advice(
        sentence=lacking.sentence, next=lacking.command, judge=None, finding=None, doubtful=[],
        model=model.id if model else None, labels=labels.version, votes=votes, round=_round(workspace),
    )  # fmt: skip


def _measure(workspace: Workspace, model: Model, labels: LabelSet, votes: int, progress: Progress) -> Advice:
    import numpy as np

    from emolab.active_learning.advice import advice, recommendation
    from emolab.loop.label.advise_material import Lacking, gather

    found = gather(workspace, model, labels, progress)
    if isinstance(found, Lacking):
        return _missing(workspace, found, labels, votes, model)
    batch = round(workspace.config.suggest.n * found.votes_per_sample)
    result = advice.advise(
        found.data,
        found.counts,
        found.team,
        votes=sorted({*VOTES, batch}),
        votes_per_label=found.votes_per_label,
        rng=np.random.default_rng(len(found.rows)),
        progress=progress,
    )
    told = recommendation.recommend(result, next(p for p in result.purchases if p.votes == batch))
    return Advice(
        sentence=told.sentence,
        next=_next(workspace, told.action, found.judge),
        judge=found.judge,
        finding=_plain(result),
        doubtful=_doubted(result, labels, found.rows),
        model=model.id,
        labels=labels.version,
        votes=votes,
        round=_round(workspace),
    )


def _next(workspace: Workspace, action: str, judge: str) -> str:
    if action == "stop":
        return "emolab export champion --to onnx"
    if action == "relabel":
        return "emolab inspect"
    if judge == "valid":
        return "emolab suggest --strategy random -n 40 --push"
    return f"emolab suggest -n {workspace.config.suggest.n} --push"


def _figures(finding: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    from emolab.active_learning.advice.power_law import Interval
    from emolab.active_learning.advice.recommendation import points, share

    def interval(values: Mapping[str, float]) -> Interval:
        return Interval(**values)

    rows = [("accuracy now", share(interval(finding["accuracy"])), f"{finding['labels']:,} labels learnt from")]
    rows += [
        (f"{p['votes']:,} more votes", points(interval(p["gain"])), f"{p['labels']:.0f} more labels")
        for p in finding["votes"]
    ]
    relabelling, ceiling = finding["relabelling"], finding["ceiling"]
    if relabelling is not None:
        what = f"{relabelling['votes']:,} on doubtful labels"
        sure = (
            f"two each on {relabelling['labels']:,}; {relabelling['really_wrong']:.0%} are expected to be wrong"
            if relabelling["labels"]
            else ""
        )
        rows.append((what, points(interval(relabelling["gain"])), sure))
    if ceiling is None:
        return [*rows, ("most there can be", "–", "fewer than 40 samples have two votes")]
    rows.append(("most there can be", share(interval(ceiling["label"])), "against labels like these"))
    return [*rows, ("", share(interval(ceiling["person"])), "against one more person's vote")]


def _plain(result: Finding) -> dict[str, Any]:
    """The figures as plain data, shares of 1."""
    from dataclasses import asdict

    relabelling = result.relabelling
    return {
        "labels": result.labels,
        "judges": result.judges,
        "accuracy": asdict(result.accuracy),
        "reached": result.reached,
        "votes": [asdict(purchase) for purchase in result.purchases],
        "ceiling": None if result.ceiling is None else asdict(result.ceiling),
        "relabelling": None
        if relabelling is None
        else {
            "labels": len(relabelling.doubtful.rows),
            "really_wrong": float(relabelling.doubtful.wrong.mean()) if len(relabelling.doubtful.rows) else None,
            "noise": relabelling.doubtful.noise,
            "votes": relabelling.votes,
            "gain": asdict(relabelling.gain),
        },
    }


def _doubted(result: Finding, labels: LabelSet, rows: NDArray[np.int64]) -> list[dict[str, Any]]:
    if result.relabelling is None:
        return []
    found = result.relabelling.doubtful
    return [
        {
            "sample": labels.samples[rows[row]],
            "label": labels.classes[int(labels.hard[rows[row]])],
            "instead": labels.classes[instead],
            "wrong": round(wrong, 4),
        }
        for row, wrong, instead in zip(found.rows.tolist(), found.wrong.tolist(), found.instead.tolist(), strict=True)
    ]
