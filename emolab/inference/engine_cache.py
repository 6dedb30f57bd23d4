"""Exports that were made to run a model quickly on this machine: where they are kept, and whether one is whole."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from emolab.errors import EmolabError
from emolab.files import write_bytes, write_text
from emolab.inference import runtime
from emolab.inference.providers import NoProvider
from emolab.inference.runtime import Runner

#: In order of speed (python -m benchmarks.export): in bfloat16 OpenVINO was the quicker one for every network, in
#: single precision they are about even.
ENGINES = {"openvino": ("openvino", "OpenVINO"), "onnx": ("onnxruntime", "ONNX Runtime")}
#: Raise it when the graph or what is beside it changes.
LAYOUT = 1


def folder(cache: Path) -> Path:
    """Where a workspace with this ``cache`` keeps them."""
    return cache / "engines"


def file_for(cache: Path, model: str, engine: str, precision: str) -> Path:
    """The file of ``model`` (id) for ``engine`` (openvino or onnx) of the release installed here.

    Raises :class:`importlib.metadata.PackageNotFoundError` without it.
    """
    package = ENGINES[engine][0]
    suffix = next(end for end, kind in runtime.SUFFIXES.items() if kind == engine)
    return folder(cache) / f"{model[:24]}-{package}-{_release(package)}-{precision}-v{LAYOUT}{suffix}"


def _release(package: str) -> str:
    """The version of ``package`` or of its build for GPUs, which is installed in its place."""
    try:
        return version(package)
    except PackageNotFoundError:
        return version(f"{package}-gpu")


def kept(file: Path, opener: Callable[[Path], Runner]) -> Runner | None:
    """The export in ``file``, opened by ``opener``, when it is there and whole.

    Raises :class:`NoProvider` where the file is whole and the device to run it on is missing.
    """
    beside = file.with_name(f"{file.name}.json")
    try:
        told: dict[str, Any] = json.loads(beside.read_text(encoding="utf-8"))
        if hashlib.sha256(file.read_bytes()).hexdigest() != told["sha256"]:
            return None
        found = opener(file)
    except NoProvider:
        raise
    except (OSError, ValueError, KeyError, EmolabError):  # whatever it is, it is made again
        return None
    with suppress(OSError):  # the ones used last are kept; in a workspace that may only be read that does not matter
        beside.touch()
    return found


def keep(file: Path, content: bytes) -> None:
    """Keep an export, ``content``, as ``file``."""
    file.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(file, content)
    told = {"sha256": hashlib.sha256(content).hexdigest(), "precision": "fp32"}
    write_text(file.with_name(f"{file.name}.json"), json.dumps(told))


def any_kept(cache: Path, model: str, opener: Callable[[Path], Runner]) -> Runner | None:
    """An export of ``model`` in single precision that is there and whole, by whichever engine is installed."""
    for engine in ("onnx", "openvino"):
        try:
            found = kept(file_for(cache, model, engine, "fp32"), opener)
        except PackageNotFoundError:
            continue
        if found is not None:
            return found
    return None
