"""Which model a name means, opened so that it answers without PyTorch in this process."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING

from emolab.progress import SILENT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from emolab.inference.model_document import Checkpoint
    from emolab.inference.runtime import Runner
    from emolab.inference.served_model import ServedModel
    from emolab.progress import Progress
    from emolab.workspace import Workspace


def open_model(
    workspace: Workspace | None,
    name: str | Path,
    *,
    threads: int | None = None,
    flips: bool | None = None,
    engine: str = "auto",
    exact: bool = True,
    device: str | None = None,
    alone: str | None = None,
    progress: Progress = SILENT,
) -> ServedModel:
    """The model that ``name`` means: an exported file, face48, champion, the start of an id, or a folder.

    A trained model is run by an ONNX file that is made the first time, by a process of its own, and kept in the cache.
    ``flips`` judges images with or without their mirror images [as the model was trained to]; an exported file does
    what it was exported to do. ``threads`` is the number of cores for one batch [all]. ``engine`` is the setting
    training.engine; without ``exact`` a large network may answer in bfloat16, and a note says so
    (:mod:`emolab.loop.model.quick_engine`). ``device`` is cpu, cuda or tensorrt [cpu]. ``alone`` names who looks at
    each clip by itself, and so has no use for a model normalised by speaker: :class:`ConfigError`.

    Raises :class:`UnknownName`, :class:`DataError` for what is damaged, and :class:`MissingExtra` without ONNX Runtime,
    without the engine that is asked for or, the first time, without what makes the file; :class:`NoProvider` without
    the device.
    """
    from emolab.errors import ConfigError
    from emolab.inference import model_document, runtime, served_model
    from emolab.loop.model.models import exported, folder_in
    from emolab.loop.model.quick_engine import open_engine
    from emolab.modalities.preparing import require_alone

    if engine == "openvino":
        runtime.openvino()
    device = _checked_device(device, engine)
    path = exported(name)
    if path is not None:
        if flips is not None:
            raise ConfigError(
                "An exported file judges images as it was exported to.", hint="Export it again with or without --flips."
            )
        by_openvino = engine == "openvino"
        return served_model.of_file(runtime.open_export(path, threads=threads, by_openvino=by_openvino, device=device))
    folder = folder_in(workspace, str(name))
    described = model_document.describe(folder)
    if alone is not None:
        require_alone(described.preprocessing, alone)
    if flips is not None:
        described = described.with_flips(flips)
    opener = partial(open_engine, threads=threads, engine=engine, exact=exact, device=device, progress=progress)
    runner = _bundled(folder, described, opener) or _kept(workspace, folder, described, opener, progress)
    return served_model.of_engine(runner, described)


def _checked_device(device: str | None, engine: str) -> str:
    """The device that is meant, where it is there; a missing one is told before anything is made for it."""
    from emolab.errors import ConfigError
    from emolab.inference import providers, runtime

    if device in (None, "auto", "cpu"):
        return "cpu"
    if engine == "openvino":
        raise ConfigError(
            f"OpenVINO computes on the CPU and not by {device}, and training.engine is openvino.",
            hint=f"Use --device cpu, or: --device {device} --set training.engine=onnx",
        )
    providers.check_device(runtime.onnxruntime(), str(device))
    return str(device)


def _bundled(folder: Path, described: Checkpoint, opener: Callable[[Path], Runner]) -> Runner | None:
    """The ONNX file that lies beside a model that comes with emolab, if it is that model."""
    from emolab.training.networks.bundled import SERVED

    file = folder / SERVED
    if not file.is_file():
        return None
    runner = opener(file)
    return runner if runner.document["model"] == described.id else None


def _light(cache: Path, folder: Path, described: Checkpoint, opener: Callable[[Path], Runner]) -> Runner | None:
    """The export of a model that comes with emolab as a graph and weights, put together in the cache."""
    from emolab.inference import engine_cache, light_graph

    if not (folder / light_graph.FILE).is_file():
        return None
    file = engine_cache.file_for(cache, described.id, "onnx", "fp32")
    engine_cache.keep(file, light_graph.joined(folder))
    runner = engine_cache.kept(file, opener)
    return runner if runner is not None and runner.document["model"] == described.id else None


def _kept(
    workspace: Workspace | None,
    folder: Path,
    described: Checkpoint,
    opener: Callable[[Path], Runner],
    progress: Progress,
) -> Runner:
    """The export in the cache, which is made where it is missing."""
    from emolab.errors import EmolabError, MissingExtra
    from emolab.files import user_cache
    from emolab.inference import engine_cache, runtime

    runtime.onnxruntime()
    cache = user_cache() if workspace is None or workspace.read_only else workspace.cache
    found = engine_cache.any_kept(cache, described.id, opener) or _light(cache, folder, described, opener)
    if found is not None:
        return found
    command = [sys.executable, "-m", "emolab.training.export.engine_process", str(folder.resolve()), str(cache)]
    with progress.task("Preparing the model to answer without PyTorch (once per model)"):
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode == 2:
        raise MissingExtra("What exports a model", "train,export")
    found = engine_cache.any_kept(cache, described.id, opener) if done.returncode == 0 else None
    if found is None:
        said = done.stderr.strip().splitlines()
        raise EmolabError(
            f"Model {described.id[:12]} could not be prepared to answer without PyTorch: {said[-1] if said else '?'}",
            hint="Export it by hand to see more: emolab export MODEL --to onnx",
        )
    return found
