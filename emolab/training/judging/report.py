"""The page about one model: which sections it has, what its tiles say, and who judged.

How each section is drawn is in :mod:`emolab.training.judging.report_sections`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emolab.files import write_text
from emolab.inference.model_document import Checkpoint
from emolab.pages.html import Tile, page
from emolab.training.inputs.pixel_cache import Pixels
from emolab.training.inputs.training_set import TrainingSet
from emolab.training.judging import report_sections


def write(
    file: Path,
    model: Checkpoint,
    data: TrainingSet,
    pixels: Pixels,
    *,
    probs: NDArray[np.float32],
    name: str,
    judge: str,
    hidden: Collection[str] = (),
) -> None:
    """Write the report of ``model`` to ``file``.

    ``probs`` (v, k) are those of ``data.valid``; ``judge`` says who gave their labels, see :func:`judge_of`. Samples
    whose ids are ``hidden`` are not shown.
    """
    valid = dict(model.metrics["valid"])
    judged = bool(valid["n"])
    learning = report_sections.penalties if model.metrics.get("solved") else report_sections.curves
    sections = [*report_sections.fairness(model, valid), learning(model)]
    if judged:
        if len(model.classes) <= report_sections.MOST_CLASSES:
            sections.append(report_sections.confusion(model, valid, judge))
        sections += [report_sections.per_class(model, valid, data), report_sections.calibration(model, valid)]
        sections += report_sections.mistakes(model, data, pixels, probs, judge, hidden=hidden)
    sections += [report_sections.composition(data), report_sections.settings(model)]
    document = page(
        f"{model.backbone} on {name}",
        sections,
        eyebrow="emolab model report",
        subtitle=_subtitle(model, data),
        tiles=_tiles(model, valid),
        footer=f"Model {model.id} · {model.created_at} · emolab {model.made_by['emolab']}, "
        f"PyTorch {model.made_by['torch']}",
    )
    write_text(file, document)


def judge_of(voters: Mapping[str, Collection[str]]) -> str:
    """Who gave the labels, in words: the team, a dataset by its name, or both. ``voters``: names by kind.

    >>> judge_of({"person": {"a4f1", "b0c2"}}), judge_of({"dataset": {"reader:ferplus"}})
    ('the team', 'ferplus')
    >>> judge_of({"person": {"a4f1"}, "dataset": {"reader:ferplus", "reader:votes:ann", "reader:votes:bob"}})
    'the team and two datasets'
    """
    datasets = sorted({name.removeprefix("reader:").split(":")[0] for name in voters.get("dataset", ())})
    people = any(names for kind, names in voters.items() if kind != "dataset")
    told = [
        *(["the team"] if people or not datasets else []),
        *(datasets if len(datasets) < 2 else [_several(datasets)]),
    ]
    return " and ".join(told)


def _several(datasets: Sequence[str]) -> str:
    return f"{'two' if len(datasets) == 2 else len(datasets)} datasets"


def _subtitle(model: Checkpoint, data: TrainingSet) -> str:
    judged = f"judged on {len(data.valid):,} others" if len(data.valid) else "not judged: no validation samples"
    return (
        f"Learned {len(model.classes)} classes from {len(data.train):,} samples in "
        f"{_lasted(model.metrics['minutes'])}; {judged}."
    )


def _lasted(minutes: float) -> str:
    """A duration in words: seconds up to one and a half minutes."""
    seconds = max(1, round(60 * minutes))
    return f"{minutes:.1f} minutes" if minutes >= 1.5 else f"{seconds} second{'s' if seconds > 1 else ''}"


def _tiles(model: Checkpoint, valid: dict[str, Any]) -> list[Tile]:
    if not valid["n"]:
        return []
    before = model.metrics["before_temperature"]
    return [
        Tile(label="Accuracy", value=f"{valid['accuracy']:.1%}", note=f"n = {valid['n']:,}"),
        Tile(label="Macro-F1", value=f"{valid['macro_f1']:.3f}", note=f"over {valid['present']} classes"),
        Tile(label="Calibration error", value=f"{valid['ece']:.3f}", note=f"{before['ece']:.3f} before temperature"),
        Tile(label="Log loss", value=f"{valid['nll']:.3f}", note=f"{before['nll']:.3f} before temperature"),
        Tile(label="Temperature", value=f"{model.temperature:.2f}", note=_honesty(model.temperature)),
    ]


def _honesty(temperature: float) -> str:
    if temperature > 1.05:
        return "it was overconfident"
    return "it was too modest" if temperature < 0.95 else "it was honest"
