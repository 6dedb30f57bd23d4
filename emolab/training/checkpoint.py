"""A model on disk: ``model.safetensors`` and ``model.json``; nothing in it can run code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from emolab import __version__
from emolab.errors import DataError
from emolab.files import write_bytes, write_text
from emolab.inference.model_document import DOCUMENT, FORMAT, Checkpoint, describe

WEIGHTS = "model.safetensors"
#: Where the document keeps the hash of the weights' file; models written before there was one go unchecked.
SEAL = "weights_sha256"


def made_by() -> dict[str, str]:
    """The versions that a model made here names."""
    return {"emolab": __version__, "torch": str(torch.__version__)}


def identity(plan: Mapping[str, Any], snapshot: str, weights: Mapping[str, Tensor]) -> str:
    """Hex sha256 of settings, data and weights: the id of a model."""
    digest = hashlib.sha256(json.dumps(dict(plan), sort_keys=True).encode())
    digest.update(snapshot.encode())
    digest.update(save(dict(sorted(weights.items()))))
    return digest.hexdigest()


def write(folder: Path, checkpoint: Checkpoint, weights: Mapping[str, Tensor]) -> None:
    """Write both files into ``folder``; the document last, so that a folder with one is complete."""
    folder.mkdir(parents=True, exist_ok=True)
    content = save(dict(weights))
    write_bytes(folder / WEIGHTS, content)
    document = {"format": FORMAT, SEAL: hashlib.sha256(content).hexdigest(), **asdict(checkpoint)}
    write_text(folder / DOCUMENT, json.dumps(document, indent=2, sort_keys=False))


def read(folder: Path) -> tuple[Checkpoint, dict[str, Tensor]]:
    """The model in ``folder``.

    Raises :class:`DataError` when there is none, when it is damaged, or when a newer emolab wrote it.
    """
    checkpoint = describe(folder)
    seal = json.loads((folder / DOCUMENT).read_text(encoding="utf-8")).get(SEAL)
    try:
        with (folder / WEIGHTS).open("rb") as stream:
            if seal and hashlib.file_digest(stream, "sha256").hexdigest() != seal:
                raise SafetensorError("its content is not what was written")
        return checkpoint, load_file(folder / WEIGHTS)
    except (OSError, ValueError, RuntimeError) as error:
        raise DataError(f"{folder / WEIGHTS} cannot be read: {error}.", hint="Train the model again.") from error
    except SafetensorError as error:
        raise DataError(f"{folder / WEIGHTS} is damaged: {error}.", hint="Train the model again.") from error
