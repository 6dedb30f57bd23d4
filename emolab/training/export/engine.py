"""The quickest way to run a model on this machine's CPU: an export of it, made once and kept in the cache."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray
from torch import Tensor, nn

from emolab.errors import EmolabError, MissingExtra, UnknownName
from emolab.files import write_text
from emolab.inference import engine_cache, runtime
from emolab.inference.engine_cache import ENGINES
from emolab.inference.model_document import Checkpoint
from emolab.inference.runtime import Runner
from emolab.progress import SILENT, Progress
from emolab.training.export import formats, parity
from emolab.training.networks.classifier import Classifier

NEEDED = ("onnx", "onnxscript")
#: Making an export takes seconds and is won back from about this many multiply-adds on, seen with face48; with less to
#: predict, "auto" uses an export only where it is there already. By count and not by clock, so that runs repeat.
WORTHWHILE = 8e11
#: An export is compared with the network on every eighth image, this many at most.
COMPARED = 256
#: Share of images whose best class may differ when bfloat16 stands in for single precision.
FLIPS = 0.005
KEEP = 6


def runner(
    network: Classifier,
    made: Checkpoint,
    *,
    engine: str,
    n: int,
    images: Callable[[int], NDArray[np.uint8]],
    reference: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
    cache: Path,
    threads: int | None = None,
    exact: bool = False,
    progress: Progress = SILENT,
) -> Runner | None:
    """What ``engine`` (auto, torch, onnx or openvino) means for ``n`` images; ``None`` is the network itself.

    ``images(k)`` gives k of them, decoded, and ``reference`` the network's probabilities. An export is kept below
    ``cache`` only when it says the same. It computes in bfloat16 where the processor has it and the same class is best
    on 99.5 % of the images; otherwise, and where ``exact`` asks for it, in single precision. A damaged one is made
    again. When no export can be made a note says so and the answer is ``None``. Raises :class:`MissingExtra` for a
    named engine that is not installed.
    """
    chosen = choose(engine, on_cpu=network.mean.device.type == "cpu")
    if chosen is None or n == 0:
        return None
    low = chosen == "openvino" and not exact and runtime.has_bfloat16()
    title = ENGINES[chosen][1]
    file = engine_cache.file_for(cache, made.id, chosen, "bf16" if low else "fp32")
    folder = file.parent
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):
        opener = partial(runtime.open_export, threads=threads)
        found = engine_cache.kept(file, opener)
        if found is not None or (engine == "auto" and n * multiply_adds(network, made) < WORTHWHILE):
            return found
        compared = images(min(COMPARED, max(2, n // 8)))
        if len(compared) == 0:
            return None
        try:
            with progress.task(f"Preparing {title} (once per model)"):
                _make(network, made, file, compared, reference(compared), low=low, threads=threads)
        except EmolabError as error:
            progress.note(f"{title} cannot run this model, so PyTorch does, more slowly: {error.message}")
            return None
        _forget(folder, file)
        return engine_cache.kept(file, opener)


def choose(engine: str, *, on_cpu: bool = True) -> str | None:
    """``openvino``, ``onnx`` or, for PyTorch, ``None``. ``auto`` takes the quickest that is installed, on a CPU."""
    if engine not in ("auto", "torch", *ENGINES):
        raise UnknownName("engine", engine, ("auto", "torch", *ENGINES))
    if engine in ENGINES:
        for package, title in (ENGINES[engine], *((name, name) for name in NEEDED)):
            if find_spec(package) is None:
                raise MissingExtra(title, "export")
        return engine
    if engine == "torch" or not on_cpu or not all(map(find_spec, NEEDED)):
        return None
    return next((name for name, (package, _) in ENGINES.items() if find_spec(package)), None)


def multiply_adds(network: Classifier, made: Checkpoint) -> int:
    """Multiply-adds of the convolutions and linear layers of ``network`` for one image."""
    height, width, channels = made.preprocessing.shape
    total = 0

    def count(module: nn.Module, _: tuple[Tensor, ...], out: Tensor) -> None:
        nonlocal total
        weight = module.weight
        total += out.numel() * (weight[0].numel() if isinstance(weight, Tensor) else 0)

    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    try:
        with torch.inference_mode():
            network(torch.zeros(1, channels, height, width, dtype=torch.uint8))
    finally:
        for hook in hooks:
            hook.remove()
    return total


def _make(
    network: Classifier,
    made: Checkpoint,
    file: Path,
    images: NDArray[np.uint8],
    wanted: NDArray[np.float32],
    *,
    low: bool,
    threads: int | None,
) -> None:
    """Write ``file`` in the lowest precision that says what ``wanted`` says about ``images``."""
    with tempfile.TemporaryDirectory(dir=file.parent, prefix="making-") as place:
        for precision in ("bf16", "fp32") if low else ("fp32",):
            made_file = Path(place) / file.name
            engine = runtime.SUFFIXES[file.suffix]
            document = formats.describe(made, to=engine, precision=precision, width=network.head.in_features)
            formats.write(network, made_file, document, "", images)
            probs, _, _ = runtime.open_export(made_file, threads=threads)(images)
            found = parity.compare(wanted, probs, images="pool")
            if precision == "bf16" and 1 - found.agreement <= FLIPS and not found.failure("bf16"):
                break
        else:
            reason = found.failure("fp32")
            if reason:
                raise EmolabError(f"its export does not say the same: {reason}.")
        told = {
            "sha256": hashlib.sha256(made_file.read_bytes()).hexdigest(),
            "precision": precision,
            "compared": found.n,
            "agreement": found.agreement,
            "largest_difference": found.largest_difference,
        }
        made_file.replace(file)
    write_text(file.with_name(f"{file.name}.json"), json.dumps(told, indent=2))


def _forget(folder: Path, current: Path) -> None:
    """Delete the exports not used for longest, all but ``KEEP``."""
    used = sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    for beside in used[KEEP:]:
        file = beside.with_suffix("")
        if file != current:
            for path in (beside, file):
                with suppress(FileNotFoundError):
                    path.unlink()
