"""An exported ONNX file without the weights that lie beside it, for a model that comes with the package."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from emolab.errors import DataError
from emolab.inference.light_graph import FILE, WEIGHTS, Places, folded, joined, pack, read_weights

#: How far a tensor that is folded again may be from the exporter's, beside it.
NEAR = 1e-5
#: What the exporter calls the bias of a convolution into which a batch norm was folded, after its weight.
FOLDED_BIAS = "_bias"


def write_light(folder: Path, exported: Path) -> None:
    """Write the light file of the model in ``folder``, whose whole ONNX file is ``exported``.

    Raises :class:`DataError` where what would be put together is not what was exported.
    """
    model = onnx.load(exported)
    weights = read_weights(folder / WEIGHTS)
    norms = sorted(name.removesuffix(".running_mean") for name in weights if name.endswith(".running_mean"))
    places: dict[str, tuple[str, str, str]] = {}
    kept = []
    for tensor in model.graph.initializer:
        part = "bias" if tensor.name.endswith(FOLDED_BIAS) else "weight"
        name = tensor.name.removeprefix("network.").removesuffix(FOLDED_BIAS)
        wanted = numpy_helper.to_array(tensor)
        tried = ((name, part, norm) for norm in ("", *norms)) if name in weights else ()
        found = next((place for place in tried if _same(weights, place, wanted)), None)
        if found is None:
            kept.append(tensor)
        else:
            places[tensor.name] = found
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    (folder / FILE).write_bytes(pack(model.SerializeToString(), places))
    _check(folder, exported, places)


def _same(weights: dict[str, np.ndarray], place: tuple[str, str, str], wanted: np.ndarray) -> bool:
    """Whether ``place`` gives the tensor that is ``wanted``."""
    name, part, norm = place
    if part == "bias" and not norm:
        return False
    if norm and weights[f"{norm}.weight"].shape != wanted.shape[:1]:
        return False
    made = folded(weights, name, part, norm)
    return made.shape == wanted.shape and bool(np.allclose(made, wanted, rtol=NEAR, atol=NEAR))


def _check(folder: Path, exported: Path, places: Places) -> None:
    """Whether the parts put together are the tensors of ``exported``, all of the large ones from the weights."""
    before, after = onnx.load(exported), onnx.load_from_string(joined(folder))
    mine, theirs = ({each.name: numpy_helper.to_array(each) for each in m.graph.initializer} for m in (after, before))
    if mine.keys() != theirs.keys() or not all(
        np.allclose(mine[key], theirs[key], rtol=NEAR, atol=NEAR) for key in mine
    ):
        raise DataError(f"{folder / FILE} would not give the tensors of {exported}.")
    large = [name for name, value in theirs.items() if value.nbytes > 4096 and name not in places]
    if large:
        raise DataError(f"Tensors of {exported} were not found among the weights: {', '.join(large)}.")
