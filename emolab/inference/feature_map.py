"""The last feature map of an exported ONNX file, made an output when the file is opened; nothing in the file changes.

A file of one message ends where the next field could begin, and fields that come twice are joined (Protocol Buffers,
"Encoding"). So the names of more outputs are simply appended. What the map is called is read from the graph: it is what
a mean over height and width makes the features of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from emolab.inference.protobuf import bytes_field, read_fields

#: Fields of the messages of ONNX (onnx.proto): of the model, the graph, a node, and what is known of a value.
_GRAPH, _NODE, _OUTPUT, _NAME = 7, 1, 12, 1
_NODE_INPUT, _NODE_OUTPUT, _NODE_KIND = 1, 2, 4
#: What makes a mean of a map, what leaves features as they are or takes some of them, and what gives logits.
_MEANS = ("ReduceMean", "GlobalAveragePool")
_PASSES = ("Flatten", "Reshape", "Squeeze", "Identity", "Gather", "Slice", "Cast", "Dropout")
_LINEAR = ("Gemm",)
#: Nodes between the outputs and what is looked for, at most.
_FAR = 8


@dataclass(frozen=True)
class MapNames:
    """What values of a graph are called: the ``features`` map (n, d, h, w), ``weights`` (k, d), and what is added (k,).

    ``bias`` is ``None`` where nothing is added.
    """

    features: str
    weights: str
    bias: str | None

    @property
    def all(self) -> list[str]:
        """All that there are."""
        return [name for name in (self.features, self.weights, self.bias) if name]


@dataclass(frozen=True)
class _Node:
    kind: str
    inputs: tuple[str, ...]


def find(content: bytes, *, features: str, logits: str) -> MapNames | None:
    """The names in the ONNX file ``content`` whose outputs are ``features`` and ``logits``.

    ``None`` for a network whose features are no mean of a map, and for what is no such file.
    """
    try:
        makers = _makers(content)
    except (ValueError, IndexError, UnicodeDecodeError):
        return None
    pooled = _back(makers, features, _MEANS, _PASSES)
    linear = _back(makers, logits, _LINEAR, (*_PASSES, *_MEANS))
    if pooled is None or linear is None or len(linear.inputs) < 2:
        return None
    return MapNames(pooled.inputs[0], linear.inputs[1], linear.inputs[2] if len(linear.inputs) > 2 else None)


def with_outputs(content: bytes, names: Sequence[str]) -> bytes:
    """The ONNX file ``content`` with the values called ``names`` among its outputs."""
    values = b"".join(bytes_field(_OUTPUT, bytes_field(_NAME, name.encode())) for name in names)
    return content + bytes_field(_GRAPH, values)


def _back(makers: Mapping[str, _Node], name: str, wanted: Sequence[str], passed: Sequence[str]) -> _Node | None:
    """The first node of a ``wanted`` kind on the way back from the value ``name``, past nodes of kinds ``passed``."""
    for _ in range(_FAR):
        node = makers.get(name)
        if node is None or node.kind in wanted:
            return node
        if node.kind not in passed or not node.inputs:
            return None
        name = node.inputs[0]
    return None


def _makers(content: bytes) -> dict[str, _Node]:
    """Each value of the graph in ``content`` -> the node that makes it."""
    found = {}
    for number, graph in read_fields(memoryview(content)):
        if number != _GRAPH:
            continue
        for kind, node in read_fields(graph):
            if kind != _NODE:
                continue
            parts = [(field, bytes(value).decode()) for field, value in read_fields(node) if field <= _NODE_KIND]
            one = _Node(
                next((text for field, text in parts if field == _NODE_KIND), ""),
                tuple(text for field, text in parts if field == _NODE_INPUT),
            )
            found.update({text: one for field, text in parts if field == _NODE_OUTPUT})
    return found
