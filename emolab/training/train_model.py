"""From a run to a model: train, then judge and write it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emolab.inference.model_document import Checkpoint
from emolab.progress import SILENT, Progress
from emolab.training.fitting import tensorboard as scalars
from emolab.training.fitting import tuning
from emolab.training.fitting.allocator import keep_freed_memory
from emolab.training.fitting.distributed import ALONE, Team
from emolab.training.fitting.fit import Watch, fit
from emolab.training.fitting.head_fit import fit_head
from emolab.training.inputs import pixel_cache, speaker_tables
from emolab.training.inputs.pixel_cache import Pixels
from emolab.training.judging.finish import finish
from emolab.training.judging.opponent import Bench, Nobody, Opponent
from emolab.training.runs.runs import Run
from emolab.workspace import Workspace

Media = Callable[[str], Path]


@dataclass(frozen=True, kw_only=True)
class JudgedRun:
    """A finished training on its ``bench``: the checkpoint as written, and who ``stands`` against it."""

    bench: Bench
    checkpoint: Checkpoint
    stands: Opponent | Nobody
    mismatches: tuple[str, ...]
    resumed_at: int


def train(
    workspace: Workspace,
    run: Run,
    media: Media,
    *,
    tensorboard: bool = True,
    told: Watch | None = None,
    progress: Progress = SILENT,
    team: Team = ALONE,
) -> JudgedRun:
    """Carry ``run`` to its end, judge the model and write its folder; ``media`` gives the file of a sample id.

    Which name the model gets is decided by :mod:`emolab.loop.model.admit`. Each epoch's row is ``told``. Stopping it at
    any instant loses at most the steps since the last state; calling it again with the same run goes on and ends with
    the same weights. The leader of a ``team`` calls this, the others :func:`help_train`.
    """
    resumed_at = run.epochs_done()
    with run.forgotten_if_barren():
        if run.plan.tuning:
            keep_freed_memory()  # decoding gains from it too
        pixels = _pixels(workspace, run, media, progress)
        with scalars.writer(workspace.logs / "tensorboard" / run.folder.name, resumed_at, on=tensorboard) as watch:
            if run.plan.mode == "head":
                fitted = fit_head(pixels, run.data, run.plan, workspace.cache, progress=progress)
            else:
                team.wait()  # the others read what was decoded
                fitted = fit(
                    pixels,
                    run.data,
                    run.plan,
                    run.folder,
                    progress=progress,
                    watch=_both(watch, told),
                    choices=workspace.cache / tuning.FILE,
                    team=team,
                )
    bench = Bench(workspace=workspace, run=run, pixels=pixels, media=media, progress=progress)
    with progress.task("Calibrating, comparing, writing the report"):
        made, stands = finish(fitted, bench)
    return JudgedRun(bench=bench, checkpoint=made, stands=stands, mismatches=fitted.mismatches, resumed_at=resumed_at)


def _both(first: Watch | None, second: Watch | None) -> Watch | None:
    """What calls both of them, as far as they are there."""
    if first is None or second is None:
        return first or second

    def each(row: dict[str, Any]) -> None:
        first(row)
        second(row)

    return each


def help_train(workspace: Workspace, run: Run, media: Media, team: Team) -> None:
    """Take part in the training of ``run`` that another process of ``team`` leads; nothing is written."""
    if run.plan.mode == "head":
        return
    team.wait()
    pixels = _pixels(workspace, run, media, SILENT)
    fit(pixels, run.data, run.plan, run.folder, choices=workspace.cache / tuning.FILE, team=team)


def _pixels(workspace: Workspace, run: Run, media: Media, progress: Progress) -> Pixels:
    """What ``run`` learns from and is judged on, in the order of its samples."""
    wanted = run.plan.preprocessing
    if wanted.normalised_by:
        return speaker_tables.filled(workspace, run.data.ids, wanted, kept=run.folder, progress=progress)
    if run.plan.mode == "head":  # its features are those of predictions, and shared with them
        return pixel_cache.fill(workspace.cache, run.data.ids, media, wanted, progress=progress)
    return pixel_cache.fill_to_train(workspace.cache, run.data, media, wanted, progress=progress)
