"""A bundled model's ONNX file without its weights, put together with those beside it; needs neither PyTorch nor onnx.

The weights are in the package once, in half precision (``model.safetensors``). The graph beside them is some kilobytes
and says of each tensor that it lacks where it comes from: a tensor as it is, or a convolution into which the batch norm
behind it was folded. An ONNX file is one protobuf message, and parts of a message that follow each other are merged; so
the tensors are simply written behind the graph.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emolab.errors import DataError
from emolab.inference.protobuf import bytes_field, varint_field

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: The file in the folder of a model, and what it holds: the graph, and where its tensors come from.
FILE, GRAPH, TENSORS = "model.light", "graph.onnx", "tensors.json"
WEIGHTS = "model.safetensors"
#: What batch norms of PyTorch add to a variance.
EPSILON = 1e-5
#: Fields of ModelProto, GraphProto and TensorProto (onnx.proto), and the number of float32 there.
_GRAPH, _INITIALIZER, _DIMS, _TYPE, _NAME, _RAW, _FLOAT = 7, 5, 1, 2, 8, 9, 1
_KINDS = {"F16": np.float16, "F32": np.float32}

#: A tensor's name in the graph -> weight, what of it (weight or bias), and the batch norm folded in, or "".
Places = Mapping[str, tuple[str, str, str]]


def pack(graph: bytes, places: Places) -> bytes:
    """The file: ``graph`` without the tensors in ``places``, and where those come from."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in ((GRAPH, graph), (TENSORS, json.dumps(dict(places)).encode())):
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def joined(folder: Path) -> bytes:
    """The whole ONNX file of the model in ``folder``. Raises :class:`DataError` where either part is damaged."""
    try:
        with zipfile.ZipFile(folder / FILE) as archive:
            graph, places = archive.read(GRAPH), json.loads(archive.read(TENSORS))
        weights = read_weights(folder / WEIGHTS)
        tensors = {name: folded(weights, *place) for name, place in places.items()}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(f"The model in {folder} is damaged: {error}.", hint="Install emolab again.") from error
    return graph + bytes_field(_GRAPH, b"".join(bytes_field(_INITIALIZER, _tensor(*each)) for each in tensors.items()))


def folded(weights: Mapping[str, NDArray[Any]], weight: str, part: str, norm: str) -> NDArray[np.float32]:
    """The ``part`` of a layer: ``weight`` as it is, or scaled by the batch norm ``norm``; its bias is the norm's."""
    kept: NDArray[np.float32] = weights[weight].astype(np.float32)
    if not norm:
        return kept
    scale, bias, mean, variance = (
        weights[f"{norm}.{name}"].astype(np.float32) for name in ("weight", "bias", "running_mean", "running_var")
    )
    factor = scale / np.sqrt(variance + np.float32(EPSILON))
    made: NDArray[np.float32]
    made = bias - mean * factor if part == "bias" else kept * factor.reshape(-1, *[1] * (kept.ndim - 1))
    return made


def read_weights(file: Path) -> dict[str, NDArray[Any]]:
    """The tensors of a safetensors file of single or half precision, by name."""
    data = file.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    found = {}
    for name, told in header.items():
        if name != "__metadata__":
            begin, end = (8 + length + at for at in told["data_offsets"])
            found[name] = np.frombuffer(data[begin:end], _KINDS[told["dtype"]]).reshape(told["shape"])
    return found


def _tensor(name: str, array: NDArray[np.float32]) -> bytes:
    """A TensorProto of ``array`` called ``name``."""
    dims = b"".join(varint_field(_DIMS, size) for size in array.shape)
    raw = np.ascontiguousarray(array, "<f4").tobytes()
    return dims + varint_field(_TYPE, _FLOAT) + bytes_field(_NAME, name.encode()) + bytes_field(_RAW, raw)
