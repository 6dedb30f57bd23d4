"""Networks of tensorflow.js become ONNX with the same arithmetic: fractions from bytes, TensorFlow's padding."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks import live_peers
from benchmarks.harness import Result
from emolab.modalities.preparing import Preprocessing

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


def test_weights_are_read_one_after_the_other_and_bytes_become_fractions() -> None:
    packed = np.array([0, 10, 255], np.uint8)
    plain = np.array([1.5, -2.0], np.float32)
    listed: list[dict[str, Any]] = [
        {"name": "a", "shape": [3], "dtype": "float32", "quantization": {"dtype": "uint8", "scale": 0.1, "min": -1.0}},
        {"name": "b", "shape": [1, 2], "dtype": "float32"},
    ]
    found = live_peers.unpacked(listed, packed.tobytes() + plain.tobytes())
    np.testing.assert_allclose(found["a"], [-1.0, 0.0, 24.5], atol=1e-6)
    assert found["b"].tolist() == [[1.5, -2.0]]
    with pytest.raises(ValueError, match="1 bytes of weights belong to nothing"):
        live_peers.unpacked(listed, packed.tobytes() + plain.tobytes() + b"x")


def by_hand(images: NDArray[np.uint8], filters: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities of (1, 4, 4, 1): 3 x 3 filters with stride 2, padded at the bottom and the right, and a mean."""
    pixels = np.pad((images[0, :, :, 0].astype(np.float32) - 127.5) / 127.5, ((0, 1), (0, 1)))
    sums = np.zeros(7)
    for row in (0, 2):
        for column in (0, 2):
            sums += np.tensordot(pixels[row : row + 3, column : column + 3], filters[:, :, 0], axes=2)
    odds = np.exp(sums / 4 - (sums / 4).max())
    return np.asarray(odds / odds.sum(), np.float32)


def test_a_graph_pads_as_tensorflow_does() -> None:
    rng = np.random.default_rng(0)
    filters = rng.normal(size=(3, 3, 1, 7)).astype(np.float32)
    images = rng.integers(0, 255, (1, 4, 4, 1), np.uint8)
    graph = live_peers.OnnxGraph(Preprocessing(4, "gray"), (127.5,), 1 / 127.5)
    pooled = graph.add("GlobalAveragePool", [graph.conv(graph.input, filters, 2)])
    session = onnxruntime.InferenceSession(graph.written(graph.add("Flatten", [pooled])))
    np.testing.assert_allclose(session.run(None, {"images": images})[0][0], by_hand(images, filters), atol=1e-5)


def test_a_row_in_which_face48_is_behind_says_why() -> None:
    rows = [
        Result("network_cpu_ms, face48", 3.0, "CPU ms"),
        Result("accuracy, face48", 0.89, "share", note="all"),
        Result(f"network_cpu_ms, {live_peers.MINI}", 1.0, "CPU ms"),
        Result(f"accuracy, {live_peers.MINI}", 0.67, "share"),
    ]
    told = live_peers.explained(rows)
    assert told[0].note == "behind the best peer: more multiply-adds, twice for the mirror image"
    assert [row.note for row in told[1:]] == ["all", "", ""]
