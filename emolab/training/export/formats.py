"""The three formats of an exported model: what each can hold, and how it is written."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emolab import __version__
from emolab.catalog.storage.engine import now
from emolab.errors import ConfigError, UnknownName
from emolab.inference import runtime
from emolab.inference.model_document import Checkpoint
from emolab.modalities.modality import open_modality
from emolab.modalities.preparing import VERSION
from emolab.training.export import graph, quantise
from emolab.training.networks.classifier import Classifier

#: Format -> precisions it can hold. ONNX Runtime has no bfloat16 kernels for a CPU, TorchScript no 8-bit ones.
FORMATS = {
    "onnx": ("fp32", "int8"),
    "openvino": ("fp32", "bf16", "int8"),
    "torchscript": ("fp32", "bf16"),
}
PRECISIONS = ("fp32", "bf16", "int8")
SUFFIX = {kind: suffix for suffix, kind in runtime.SUFFIXES.items()}


def check_wanted(to: str, precision: str, out: Path) -> None:
    """Raise when the format or the precision is unknown, they do not go together, or ``out`` is named otherwise."""
    if to not in FORMATS:
        raise UnknownName("export format", to, FORMATS)
    if precision not in PRECISIONS:
        raise UnknownName("precision", precision, PRECISIONS)
    if precision not in FORMATS[to]:
        able = " or ".join(kind for kind, known in FORMATS.items() if precision in known)
        raise ConfigError(
            f"{to} files hold {' or '.join(FORMATS[to])}, not {precision}.", hint=f"For {precision} use --to {able}."
        )
    if out.suffix.lower() != SUFFIX[to]:
        raise ConfigError(f"{out.name} must end in {SUFFIX[to]} to be opened as {to} again.")


def describe(made: Checkpoint, *, to: str, precision: str, width: int, card: str = "") -> dict[str, Any]:
    """The document that goes into the file: everything needed to use it. ``width`` is the number of features.

    What its model ``card`` says about licences is repeated in it.
    """
    return {
        "format": runtime.FORMAT,
        "to": to,
        "precision": precision,
        "model": made.id,
        "backbone": made.backbone,
        "classes": list(made.classes),
        "size": made.size,
        "color": made.color,
        "normalise": made.preprocessing.normalise,
        "input": f"{runtime.INPUT}: uint8 (n, {', '.join(map(str, made.preprocessing.shape))})",
        "outputs": list(runtime.OUTPUTS),
        "width": width,
        "mean": list(made.mean),
        "std": list(made.std),
        "temperature": made.temperature,
        "probabilities": "softmax(logits / temperature), inside the graph",
        "normalisation": "mean and std, of 0..1, are taken off inside the graph",
        "flips": made.flips,
        "conformal": dict(made.conformal),
        "decoder": VERSION,
        "preprocessing": open_modality(made.preprocessing.modality).described(made.preprocessing),
        "licence": _licence(card),
        "created_at": now(),
        "made_by": {**made.made_by, "emolab": __version__},
    }


def _licence(card: str) -> str:
    """What the section on licences of a model ``card`` says."""
    found = re.search(r"^#+ [^\n]*licen[cs]e[^\n]*\n(.*?)(?=^#|\Z)", card, flags=re.I | re.M | re.S)
    return " ".join(found[1].split()) if found else "not stated: that of the images and votes it was trained on"


def write(
    network: Classifier,
    file: Path,
    document: dict[str, Any],
    text: str,
    images: NDArray[np.uint8],
    *,
    calibration: NDArray[np.uint8] | None = None,
) -> None:
    """Write ``network``, on the CPU, to ``file`` in the format of ``document``; ``text`` is the model card.

    ``images`` (1 or more) are run through it once; with ``calibration`` images the graph is turned into 8-bit
    integers.
    """
    to, temperature, flips = document["to"], document["temperature"], document["flips"]
    example = np.ascontiguousarray(np.resize(images[:2], (2, *images.shape[1:])))
    if to == "torchscript":
        low = graph.Graph(network, temperature, low=document["precision"] == "bf16", flips=flips)
        graph.to_torchscript(low, example, file, document, text)
        return
    source = file.with_name("graph.onnx") if to == "openvino" else file
    graph.to_onnx(graph.Graph(network, temperature, flips=flips), example, source)
    if calibration is not None:
        whole = source.rename(source.with_name("whole.onnx"))
        quantise.quantise(whole, source, calibration)
        whole.unlink()
    if to == "openvino":
        graph.to_openvino(source, file, document, text)
        source.unlink()
    else:
        graph.describe_onnx(file, document, text)
