"""Where a run stands, on disk: complete or absent, never half written, never pickled, checked before it is used."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from emolab.errors import DataError, EmolabError
from emolab.training.runs import run_folders

STATE, TENSORS, BEST = "state.json", "state.safetensors", "best.safetensors"
PART, ASIDE = ".part-", "damaged-"
#: States kept: should the newest be damaged, the run goes on from the one before.
KEPT = 2
#: Seconds between states inside a long epoch.
SAVE_EVERY = 120.0


@dataclass
class RunState:
    """Counters of a run. ``batch`` is the next batch of epoch ``epoch``; ``loss_sum`` adds up the batches before it.

    Everything random follows from the seed and these counters, so no generator state needs keeping.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0
    best_epoch: int = -1
    best_loss: float = float("inf")
    history: list[dict[str, Any]] = field(default_factory=list)

    def require_number(self, what: str, value: float, *, hint: str) -> None:
        """Stop before a ``value`` that is no number spoils the weights; the state on disk is the one before it."""
        if not math.isfinite(value):
            raise EmolabError(f"The {what} became {value} in epoch {self.epoch + 1}, step {self.step + 1}.", hint=hint)


def save(
    folder: Path,
    state: RunState,
    *,
    model: nn.Module,
    averaged: nn.Module | None,
    optimizer: torch.optim.Optimizer,
    best: dict[str, Tensor],
) -> None:
    """Write the state beside the earlier ones and only then drop all but the newest two.

    ``best`` holds the weights of the best epoch so far; it is empty when there is none yet. Raises ``OSError`` when the
    disk is full; the earlier states then stay as they were.
    """
    tensors = {f"model.{key}": _plain(value) for key, value in model.state_dict().items()}
    if averaged is not None:
        tensors |= {f"mean.{key}": _plain(value) for key, value in averaged.state_dict().items()}
    inner: dict[int, dict[str, Any]] = optimizer.state_dict()["state"]
    for index, entries in inner.items():
        tensors |= {f"optimizer.{index}.{k}": _plain(v) for k, v in entries.items() if isinstance(v, Tensor)}
    for leftover in folder.glob(f"{PART}*"):
        shutil.rmtree(leftover, ignore_errors=True)
    temporary = folder / f"{PART}{os.getpid()}"
    temporary.mkdir(parents=True)
    try:
        _write(temporary / TENSORS, tensors)
        if best:
            _write(temporary / BEST, best)
        counters = asdict(state)
        if state.best_epoch < 0:
            counters["best_loss"] = None  # JSON knows no infinity
        document = {"counters": counters, "files": {file.name: _sha256(file) for file in temporary.iterdir()}}
        text = json.dumps({**document, "sha256": _seal(document)})
        (temporary / STATE).write_text(text, encoding="utf-8")
        for file in temporary.iterdir():
            _flush(file)
        place = run_folders.state(folder, step=state.step, epoch=state.epoch)
        if place.exists():
            shutil.rmtree(place)
        temporary.rename(place)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    _flush(folder)
    for older in run_folders.states(folder)[:-KEPT]:
        shutil.rmtree(older)


def newest(folder: Path) -> Path | None:
    """The newest undamaged state in ``folder``, or ``None`` when the run never got that far.

    Raises :class:`DataError` when there are states and all of them are damaged.
    """
    return choose(folder)[0]


def choose(folder: Path) -> tuple[Path | None, dict[Path, str]]:
    """The newest undamaged state in ``folder`` and the newer, damaged ones with what is wrong with each.

    Raises :class:`DataError` when there are states and all of them are damaged.
    """
    damaged: dict[Path, str] = {}
    for place in reversed(run_folders.states(folder)):
        reason = damage(place)
        if reason is None:
            return place, damaged
        damaged[place] = reason
    if damaged:
        first, reason = next(iter(damaged.items()))
        raise DataError(
            f"The run cannot go on: {first} is damaged ({reason}), and no earlier state is whole.",
            hint=f"Restore the folder from a backup, or delete it to train from the start: rm -r {folder}",
        )
    return None, damaged


def damage(place: Path) -> str | None:
    """What is wrong with the state at ``place``, in words; ``None`` when every byte is as it was written."""
    try:
        document = json.loads((place / STATE).read_bytes())
        seal = document.pop("sha256")
        if seal != _seal(document):
            return f"{STATE} was changed"
        for name, expected in document["files"].items():
            if _sha256(place / name) != expected:
                return f"{name} is cut off or was changed"
    except FileNotFoundError as error:
        return f"{Path(str(error.filename)).name} is missing"
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"{STATE} is cut off or was changed"
    return None


def take_over(
    folder: Path,
    *,
    warn: Callable[[str], None],
    model: nn.Module,
    averaged: nn.Module | None,
    optimizer: torch.optim.Optimizer,
) -> tuple[RunState, dict[str, Tensor]]:
    """:func:`restore` of the newest undamaged state in ``folder``; the very start where there is none.

    Newer, damaged ones are put aside, and ``warn`` is told.
    """
    place, damaged = choose(folder)
    for bad, reason in damaged.items():
        warn(f"The state {bad.name} is damaged ({reason}); the run goes on from the one before it.")
        put_aside(bad)
    if place is None:
        return RunState(), {}
    return restore(place, model=model, averaged=averaged, optimizer=optimizer)


def put_aside(place: Path) -> None:
    """Rename a damaged state, so that it is no longer counted among the states of its run."""
    aside = place.with_name(f"{ASIDE}{place.name}")
    shutil.rmtree(aside, ignore_errors=True)
    place.rename(aside)


def peek(place: Path) -> RunState:
    """The counters saved at ``place``, without its tensors."""
    counters = json.loads((place / STATE).read_text(encoding="utf-8"))["counters"]
    if counters["best_loss"] is None:
        counters["best_loss"] = float("inf")
    return RunState(**counters)


def restore(
    place: Path, *, model: nn.Module, averaged: nn.Module | None, optimizer: torch.optim.Optimizer
) -> tuple[RunState, dict[str, Tensor]]:
    """Fill ``model``, ``averaged`` and ``optimizer`` from ``place``; the counters and the best weights so far.

    Raises :class:`DataError` when the state belongs to another network than the one built here.
    """
    tensors = load_file(place / TENSORS)
    try:
        model.load_state_dict(_below(tensors, "model."))
        if averaged is not None:
            averaged.load_state_dict(_below(tensors, "mean."))
    except RuntimeError as error:
        raise DataError(
            f"The state {place} does not fit the network as built here: {' '.join(str(error).split())[:200]}",
            hint="Another version of emolab, torchvision or timm wrote it. Go on with that one, or train from the "
            f"start: rm -r {place.parent}",
        ) from error
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for name, value in _below(tensors, "optimizer.").items():
        index, _, key = name.partition(".")
        parameter = parameters[int(index)]
        same = value.shape == parameter.shape  # moments lie in memory as their parameter does; counters are scalars
        optimizer.state[parameter][key] = torch.empty_like(parameter).copy_(value) if same else value
    best = load_file(place / BEST) if (place / BEST).is_file() else {}
    return peek(place), best


def weights_of(module: nn.Module) -> dict[str, Tensor]:
    """A copy of all weights and buffers on the CPU, ready to be written."""
    return {key: _plain(value).clone() for key, value in module.state_dict().items()}


def _plain(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().contiguous()


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def _write(file: Path, tensors: dict[str, Tensor]) -> None:
    """Write ``tensors``; what the system refuses is an ``OSError``, as for every other file."""
    try:
        save_file(tensors, file)
    except SafetensorError as error:
        found = re.search(r"os error (\d+)", str(error))
        number = int(found.group(1)) if found else errno.EIO
        raise OSError(number, os.strerror(number), str(file)) from error


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _seal(document: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
