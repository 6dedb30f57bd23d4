"""Where a run stands, on disk: complete or absent, never half written, never pickled."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

STATE, TENSORS, BEST = "state.json", "state.safetensors", "best.safetensors"
PREFIX = "at-"


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


def save(
    folder: Path,
    state: RunState,
    *,
    model: nn.Module,
    averaged: nn.Module | None,
    optimizer: torch.optim.Optimizer,
    best: dict[str, Tensor],
) -> None:
    """Write the state beside the earlier one and only then drop that one.

    ``best`` holds the weights of the best epoch so far; it is empty when there is none yet.
    """
    tensors = {f"model.{key}": _plain(value) for key, value in model.state_dict().items()}
    if averaged is not None:
        tensors |= {f"mean.{key}": _plain(value) for key, value in averaged.state_dict().items()}
    inner: dict[int, dict[str, Any]] = optimizer.state_dict()["state"]
    for index, entries in inner.items():
        tensors |= {f"optimizer.{index}.{k}": _plain(v) for k, v in entries.items() if isinstance(v, Tensor)}
    temporary = folder / f".part-{os.getpid()}"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    save_file(tensors, temporary / TENSORS)
    if best:
        save_file(best, temporary / BEST)
    document = asdict(state)
    if state.best_epoch < 0:
        document["best_loss"] = None  # JSON knows no infinity
    (temporary / STATE).write_text(json.dumps(document), encoding="utf-8")
    for file in temporary.iterdir():
        _flush(file)
    place = folder / f"{PREFIX}{state.step:09d}-{state.epoch:05d}"
    if place.exists():
        shutil.rmtree(place)
    temporary.rename(place)
    _flush(folder)
    for older in folder.glob(f"{PREFIX}*"):
        if older != place:
            shutil.rmtree(older)


def newest(folder: Path) -> Path | None:
    """The newest complete state in ``folder``, or ``None`` when the run never got that far."""
    places = sorted(place for place in folder.glob(f"{PREFIX}*") if (place / STATE).is_file())
    return places[-1] if places else None


def peek(place: Path) -> RunState:
    """The counters saved at ``place``, without its tensors."""
    document = json.loads((place / STATE).read_text(encoding="utf-8"))
    if document["best_loss"] is None:
        document["best_loss"] = float("inf")
    return RunState(**document)


def restore(
    place: Path, *, model: nn.Module, averaged: nn.Module | None, optimizer: torch.optim.Optimizer
) -> tuple[RunState, dict[str, Tensor]]:
    """Fill ``model``, ``averaged`` and ``optimizer`` from ``place``; the counters and the best weights so far."""
    tensors = load_file(place / TENSORS)
    model.load_state_dict(_below(tensors, "model."))
    if averaged is not None:
        averaged.load_state_dict(_below(tensors, "mean."))
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


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
