"""What a model has learned from: the samples of its run, and all that its start, teachers and pretraining learned."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emolab.inference import model_document
from emolab.progress import SILENT, Progress
from emolab.stats import metrics
from emolab.training.learned import fingerprints, learned_images
from emolab.training.learned.learned_images import Learned
from emolab.training.networks import backbones, bundled, encoder_file
from emolab.training.runs.recipes import Plan
from emolab.training.runs.runs import Run
from emolab.workspace import Workspace

#: With fewer samples left, figures without the learned ones would say nothing.
FEWEST = 50


def start_folder(plan: Plan) -> Path | None:
    """The folder of the model whose weights ``plan`` starts from; ``None`` where they are no model's."""
    file = backbones.weights_file(plan.backbone, plan.weights)
    if file is None or not (file.parent / model_document.DOCUMENT).is_file():
        return None
    return file.parent


def of_folder(folder: Path) -> Learned:
    """What the model in ``folder`` has learned from."""
    name = folder.name if folder.parent == bundled.ROOT else f"model {folder.name[:10]}"
    return learned_images.read(folder / learned_images.FILE, of=name)


def beside(file: Path) -> Path:
    """Where the record of a weights file lies that is no model's."""
    return file.with_suffix(f".{learned_images.FILE}")


def of_start(backbone: str, weights: str) -> Learned:
    """What the weights have learned from that a training with these settings starts from.

    Published weights of other networks have learned from no faces with labels of their emotion: nothing is recorded of
    them, and nothing is unknown that would matter.
    """
    file = backbones.weights_file(backbone, weights)
    if file is None:
        return Learned()
    if (file.parent / model_document.DOCUMENT).is_file():
        return of_folder(file.parent)
    if encoder_file.find(file) is not None:
        return Learned()  # speech and what was said
    return learned_images.read(beside(file), of=f"the weights file {file.name}")


def of_run(workspace: Workspace, run: Run, media: Callable[[str], Path], *, progress: Progress = SILENT) -> Learned:
    """What the model of ``run`` has learned from, the samples it was trained on last."""
    plan, data = run.plan, run.data
    teachers = [_teacher(workspace, name) for name in plan.teacher.split(",") if name]
    inherited = learned_images.together([of_start(plan.backbone, plan.weights), *teachers])
    prints = fingerprints.fill(workspace.cache, data.ids, media, progress=progress)[data.train]
    unread = fingerprints.unread(prints)
    if unread.any():
        lost = f"{int(unread.sum()):,} of {len(prints):,} images it was trained on could not be read to record them"
        inherited = inherited.also(Learned(unknown=(lost,)))
    return inherited.with_images(prints[~unread], f"{workspace.config.project.name}, snapshot {data.snapshot[:12]}")


def _teacher(workspace: Workspace, identity: str) -> Learned:
    """What the teacher with this id has learned from: a model of the workspace or a bundled one."""
    for folder in (workspace.models / identity[:16], *map(bundled.ROOT.joinpath, bundled.names())):
        if (folder / model_document.DOCUMENT).is_file() and model_document.describe(folder).id == identity:
            return of_folder(folder)
    return Learned(unknown=(f"what the teacher {identity[:10]} learned from is not known here",))


def marked(
    found: Learned,
    known: NDArray[np.bool_],
    probs: NDArray[np.floating[Any]],
    truth: NDArray[np.integer[Any]],
    classes: tuple[str, ...],
) -> dict[str, Any]:
    """How far figures on n samples rest on learned ones, ready for JSON: ``known`` (n,) says which were learned.

    ``without`` holds the figures on the others, ``None`` where nothing was learned or too few are left (``left``).
    """
    n, left = int(known.sum()), int((~known).sum())
    content, perceptual = found.rates
    return {
        "n": n,
        "left": left,
        "unknown": list(found.unknown),
        "recorded": found.n,
        "rates": {"content": content, "perceptual": perceptual},
        "without": metrics.summary(probs[~known], truth[~known], classes) if n and left >= FEWEST else None,
    }
