"""An exported model of one layer whose answer depends on every pixel and channel, so that every difference shows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from emolab.inference import runtime
from emolab.modalities.preparing import VERSION

CLASSES = ("happiness", "sadness", "neutral")
SIDE = 48


def write(file: Path, *, seed: int = 0) -> Path:
    """Write it as ONNX to ``file``: colour images of 48 x 48 pixels, probabilities far from 0 and 1.

    A change of all pixels by one level in one direction moves an answer by up to 0.01, of a single one by 1e-5.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(seed)
    weights = rng.normal(0, 0.03, (SIDE * SIDE * 3, len(CLASSES))).astype(np.float32)
    constants = {
        "scale": np.array(1 / 255, np.float32),
        "middle": np.array(0.5, np.float32),
        "flat": np.array([-1, SIDE * SIDE * 3], np.int64),
        "weights": weights,
    }
    floats = [("probabilities", len(CLASSES)), ("logits", len(CLASSES)), ("features", len(CLASSES))]
    graph = helper.make_graph(
        [
            helper.make_node("Cast", [runtime.INPUT], ["numbers"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["numbers", "scale"], ["shares"]),
            helper.make_node("Sub", ["shares", "middle"], ["centred"]),
            helper.make_node("Reshape", ["centred", "flat"], ["row"]),
            helper.make_node("MatMul", ["row", "weights"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
            helper.make_node("Identity", ["logits"], ["features"]),
        ],
        "sensitive",
        [helper.make_tensor_value_info(runtime.INPUT, TensorProto.UINT8, ["n", SIDE, SIDE, 3])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", width]) for name, width in floats],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    document = {
        "format": runtime.FORMAT, "to": "onnx", "precision": "fp32", "model": "5" * 64, "classes": list(CLASSES),
        "size": SIDE, "color": "rgb", "width": len(CLASSES), "decoder": VERSION,
    }  # fmt: skip
    helper.set_model_props(model, {runtime.DOCUMENT: json.dumps(document), runtime.CARD: "# Sensitive"})
    onnx.save(model, file)
    return file
