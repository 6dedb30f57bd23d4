"""PyTorch's ONNX exporter takes seconds; with this fixture it writes a network once, and is copied after that."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

#: What the exporter wrote in this process, by all that it makes it from.
_WRITTEN: dict[str, bytes] = {}


@pytest.fixture(scope="module")
def traced_once() -> Iterator[None]:
    """Keep what ``torch.onnx.export`` writes; the same network with the same weights is not traced again."""
    torch = pytest.importorskip("torch")
    real = torch.onnx.export

    def export(graph: Any, example: tuple[Any], file: Path, **options: Any) -> None:
        key = _key(graph, example[0].shape[1:])
        if key in _WRITTEN:
            file.write_bytes(_WRITTEN[key])
        else:
            real(graph, example, file, **options)
            _WRITTEN[key] = file.read_bytes()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.onnx, "export", export)
        yield


def _key(graph: Any, shape: tuple[int, ...]) -> str:
    """A digest of layers, weights, temperature, way of computing and size of the images."""
    found = hashlib.sha256(f"{graph!r} {graph.temperature} {graph.low} {graph.flips} {shape}".encode())
    for name, tensor in graph.state_dict().items():
        found.update(name.encode())
        found.update(tensor.contiguous().numpy().tobytes())
    return found.hexdigest()
