"""What a new model has to beat: the reigning champion, or else the network that its training started from.

A start network that knows the project's classes, in whatever order, stands as it is. One that does not stands with a
head solved on the training samples (see :mod:`emolab.training.fitting.head_fit`). One that starts at random knows
nothing, so nothing stands against the first model made from it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emolab.catalog import models
from emolab.errors import EmolabError
from emolab.inference import model_document
from emolab.inference.probabilities import softmax
from emolab.progress import SILENT, Progress
from emolab.records import Model
from emolab.training.fitting.fitted import Fitted
from emolab.training.fitting.head_fit import fit_head
from emolab.training.inputs import pixel_cache, speaker_tables
from emolab.training.inputs.pixel_cache import Pixels
from emolab.training.judging import flips
from emolab.training.learned import ancestry
from emolab.training.learned.learned_images import Learned
from emolab.training.networks import backbones, bundled
from emolab.training.predict import load, logits_by_cache
from emolab.training.runs.runs import Run
from emolab.workspace import Workspace

#: Where the catalog says under which name a model came that was not trained in its workspace.
BROUGHT = "brought"
PART = 256


@dataclass(frozen=True, kw_only=True)
class Opponent:
    """Who stands against a new model: ``probs`` (v, k) of the validation samples and what it has ``learned``.

    ``folder`` is where its network lies, ``fitted`` the solved head of a start network; the champion of the workspace
    has ``reigns``.
    """

    name: str
    probs: NDArray[np.float32]
    learned: Learned
    reigns: bool = False
    folder: Path | None = None
    fitted: Fitted | None = None


@dataclass(frozen=True, kw_only=True)
class Nobody:
    """Nothing is compared: the ``reason`` for the new model's name, ``why``, and whether a champion ``stays``."""

    reason: str
    why: str = ""
    stays: bool = False


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What judging a run takes: its ``pixels`` in the order of its samples, and ``media``, the file of a sample id."""

    workspace: Workspace
    run: Run
    pixels: Pixels
    media: Callable[[str], Path]
    progress: Progress = SILENT


def against(bench: Bench, champion: Model | None) -> Opponent | Nobody:
    """What the model of a run has to beat, judged on its validation samples."""
    try:
        return _start(bench) if champion is None else _reigning(bench, champion)
    except EmolabError as error:
        if champion is None:
            return Nobody(reason="the first model", why=f"the start network could not be judged ({error.message})")
        return Nobody(reason=f"the champion could not be judged ({error.message})", stays=True)


def _reigning(bench: Bench, champion: Model) -> Opponent | Nobody:
    if set(champion.classes) != set(bench.run.data.classes):
        return Nobody(reason="the champion has other classes", stays=True)
    folder = bench.workspace.root / champion.path
    return Opponent(
        name=str(champion.metrics.get(BROUGHT) or champion.id[:10]),
        probs=_judged(bench, folder),
        learned=ancestry.of_folder(folder),
        reigns=True,
        folder=folder,
    )


def _start(bench: Bench) -> Opponent | Nobody:
    plan, data = bench.run.plan, bench.run.data
    blank = plan.weights == "none" or (plan.weights == "default" and backbones.is_blank(plan.backbone))
    if blank and backbones.is_random(
        plan.backbone, plan.weights, backbones.build(plan.backbone, plan.weights, size=plan.size).module
    ):
        return Nobody(reason="the first model", why=f"{plan.backbone} began at random, so nothing stood to compare")
    folder = ancestry.start_folder(plan)
    name = plan.backbone if folder is None else name_of(folder)
    if folder is not None and set(model_document.describe(folder).classes) == set(data.classes):
        return Opponent(name=name, probs=_judged(bench, folder), learned=ancestry.of_folder(folder), folder=folder)
    if plan.mode == "head":
        return Nobody(
            reason="the first model", why=f"it is itself the head solved on {name}: nothing else stood to compare"
        )
    solved = with_solved_head(bench.run)
    pixels = bench.pixels
    if pixels.other is not None:  # in full: a training by steps has only its judges like that
        pixels = pixel_cache.fill(
            bench.workspace.cache, data.ids, bench.media, plan.preprocessing, progress=bench.progress
        )
    fitted = fit_head(pixels, data, solved.plan, bench.workspace.cache, progress=bench.progress)
    return Opponent(
        name=f"the head solved on {name}",
        probs=flips.judged(fitted.logits, data).probs,
        learned=ancestry.of_run(bench.workspace, solved, bench.media),
        fitted=fitted,
    )


def with_solved_head(run: Run) -> Run:
    """``run`` as it would be if it solved the head alone."""
    return Run(run.folder, replace(run.plan, mode="head", flips=False, solve_head=False), run.data)


def name_of(folder: Path) -> str:
    """What the model in ``folder`` is called: the name of a bundled one, else the start of its id."""
    return folder.name if folder.parent == bundled.ROOT else model_document.describe(folder).id[:10]


def _judged(bench: Bench, folder: Path) -> NDArray[np.float32]:
    """Calibrated probabilities (v, k) of the validation samples by the model in ``folder``, classes by name."""
    data, plan = bench.run.data, bench.run.plan
    predictor = load(folder, device=plan.device)
    made = predictor.checkpoint
    chosen = [data.ids[i] for i in data.valid]
    if made.preprocessing == plan.preprocessing:
        images = bench.pixels.only(data.valid)
    elif made.preprocessing.normalised_by:
        images = speaker_tables.filled(bench.workspace, chosen, made.preprocessing, progress=bench.progress)
    else:
        images = pixel_cache.fill(
            bench.workspace.cache, chosen, bench.media, made.preprocessing, progress=bench.progress
        )
    if plan.mode == "head" and not made.flips:
        logits, _ = logits_by_cache(predictor, bench.workspace.cache, chosen, images, progress=bench.progress)
    else:
        logits = np.empty((len(chosen), len(made.classes)), dtype=np.float32)
        with bench.progress.task("Judging what it has to beat", len(chosen), unit="samples") as task:
            for start in range(0, len(chosen), PART):
                rows = np.arange(start, min(start + PART, len(chosen)), dtype=np.int64)
                logits[rows] = predictor.logits(images.take(rows))[0]
                task.advance(len(rows))
    logits = logits[:, [made.classes.index(name) for name in data.classes]]
    return softmax(np.where(data.supported[data.valid], logits, -1e9), made.temperature)


def adopt(workspace: Workspace, folder: Path, measured: Mapping[str, Any]) -> Model:
    """The model in ``folder``, from outside of ``workspace``, as one of its own: a copy of its files.

    ``measured`` are its figures on the validation samples of the workspace; those in its document are on others.
    """
    made = model_document.describe(folder)
    target = workspace.models / made.id[:16]
    if not (target / model_document.DOCUMENT).is_file():
        target.mkdir(parents=True, exist_ok=True)
        files = [file for file in folder.iterdir() if file.is_file() and file.name != model_document.DOCUMENT]
        for file in (*files, folder / model_document.DOCUMENT):  # the document last: a folder with one is complete
            shutil.copyfile(file, target / file.name)
    model = Model(
        id=made.id,
        path=target.relative_to(workspace.root).as_posix(),
        classes=made.classes,
        config=made.plan,
        snapshot=made.snapshot,
        metrics={**made.metrics, **measured, BROUGHT: name_of(folder)},
        parent=None,
        created_at=made.created_at,
    )
    with workspace.catalog() as catalog, catalog.begin() as tx:
        models.add(tx, model)
    return model
