"""A graph and the weights beside it, put together: the same file, and a damaged one is said."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from emolab.errors import DataError
from emolab.inference import light_graph
from emolab.training.networks.bundled import ROOT, SERVED

pytest.importorskip("onnx")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The bundled face48 with a light file, which it does not have in the package."""
    from emolab.training.export.light import write_light

    for name in (light_graph.WEIGHTS, SERVED):
        shutil.copy(ROOT / "face48" / name, tmp_path / name)
    write_light(tmp_path, tmp_path / SERVED)
    return tmp_path


def test_the_parts_put_together_answer_as_the_whole(folder: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    whole = (folder / SERVED).read_bytes()
    joined = light_graph.joined(folder)
    assert (folder / light_graph.FILE).stat().st_size < len(whole) / 100
    pixels = np.random.default_rng(0).integers(0, 255, (3, 48, 48, 1), dtype=np.uint8)
    answers = []
    for content in (whole, joined):
        session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
        answers.append(session.run(None, {session.get_inputs()[0].name: pixels}))
    for before, after in zip(*answers, strict=True):
        np.testing.assert_allclose(after, before, atol=1e-6)


def test_what_is_damaged_is_said(folder: Path) -> None:
    weights = folder / light_graph.WEIGHTS
    weights.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(DataError, match="is damaged"):
        light_graph.joined(folder)
    (folder / light_graph.FILE).write_bytes(b"no zip")
    with pytest.raises(DataError, match="is damaged"):
        light_graph.joined(folder)


def test_an_export_of_another_model_is_refused(folder: Path) -> None:
    from safetensors.numpy import save_file

    from emolab.training.export.light import write_light

    other = {
        name: np.array(array) * np.float16(1.5)
        for name, array in light_graph.read_weights(folder / light_graph.WEIGHTS).items()
    }
    save_file(other, folder / light_graph.WEIGHTS)
    with pytest.raises(DataError, match="were not found among the weights"):
        write_light(folder, folder / SERVED)
