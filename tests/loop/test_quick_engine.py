"""Which engine a model is opened with, and that it says the same by each of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emolab.errors import MissingExtra
from emolab.inference import runtime
from emolab.inference.runtime import Runner
from emolab.loop.model import quick_engine
from emolab.loop.model.open_model import open_model
from emolab.loop.model.quick_engine import open_engine
from emolab.training.export import parity
from emolab.training.networks import bundled
from tests.support.heard import Heard

pytest.importorskip("onnxruntime")
pytest.importorskip("openvino")


@pytest.fixture(name="file")
def _file() -> Path:
    folder = bundled.folder("face48")
    assert folder is not None
    return folder / bundled.SERVED


@pytest.fixture(name="large")
def _large(file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that counts as that of a large network."""
    monkeypatch.setattr(quick_engine, "LARGE", file.stat().st_size)
    return file


def test_openvino_reads_the_onnx_file_and_says_the_same(file: Path) -> None:
    plain = runtime.open_export(file, threads=1)
    vino = runtime.open_export(file, threads=1, by_openvino=True)
    images = parity.synthetic(24, plain.preprocessing)
    for here, there in zip(plain(images), vino(images), strict=True):
        np.testing.assert_allclose(here, there, atol=2e-4, rtol=1e-3)
    assert (plain.engine, plain.precision) == ("onnx", "fp32")
    assert (vino.engine, vino.precision) == ("openvino", "fp32")


def test_bfloat16_stays_within_the_tolerance_of_an_export(file: Path) -> None:
    if not runtime.has_bfloat16():
        pytest.skip("this processor has no bfloat16")
    plain = runtime.open_export(file, threads=1)
    low = runtime.open_export(file, threads=1, by_openvino=True, precision="bf16")
    assert low.precision == "bf16"
    images = parity.synthetic(64, plain.preprocessing)
    found = parity.compare(plain(images)[0], low(images)[0], images="made-up")
    assert found.failure("bf16") is None
    assert found.largest_difference > 1e-6  # it does compute in another precision


@pytest.mark.parametrize(
    ("engine", "exact", "expected"),
    [
        ("auto", True, "onnx"),
        ("auto", False, "openvino"),
        ("torch", True, "onnx"),
        ("onnx", False, "onnx"),
        ("openvino", True, "openvino"),
    ],
)
def test_a_large_network_is_run_by_what_the_settings_say(large: Path, engine: str, exact: bool, expected: str) -> None:
    found = open_engine(large, threads=1, engine=engine, exact=exact)
    assert found.engine == expected
    if exact or expected == "onnx":
        assert found.precision == "fp32"


def test_a_small_network_stays_as_it_is(file: Path) -> None:
    assert open_engine(file, threads=1, exact=False).engine == "onnx"


def test_bfloat16_is_announced_with_how_far_it_differs(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "has_bfloat16", lambda: True)
    told = Heard()
    found = open_engine(large, threads=1, exact=False, progress=told)
    assert (found.engine, found.precision) == ("openvino", "bf16")
    assert len(told.notes) == 1
    assert "OpenVINO answers in bfloat16: on 16 made-up images a probability differs by 0.0" in told.notes[0]


def test_bfloat16_that_says_something_else_is_not_used(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = runtime.open_export

    def other(file: Path, **how: Any) -> Runner:
        found = opened(file, **{**how, "precision": None})
        if how.get("precision") is None:
            return found

        def wrong(images: np.ndarray) -> runtime.Outputs:
            probs, logits, features = found.compute(images)
            return probs[:, ::-1], logits, features

        return replace(found, compute=wrong, precision="bf16")

    monkeypatch.setattr(runtime, "has_bfloat16", lambda: True)
    monkeypatch.setattr(runtime, "open_export", other)
    told = Heard()
    assert open_engine(large, threads=1, exact=False, progress=told).precision == "fp32"
    assert "in single precision, because in bfloat16 the best class differs on" in told.notes[0]


def test_without_openvino_a_large_network_runs_and_says_what_to_install(
    large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quick_engine, "find_spec", lambda _: None)
    told = Heard()
    assert open_engine(large, threads=1, exact=False, progress=told).engine == "onnx"
    assert 'pip install "emolab[openvino]"' in told.notes[0]


def test_an_engine_that_is_asked_for_and_missing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise MissingExtra("OpenVINO", "openvino")

    monkeypatch.setattr(runtime, "openvino", missing)
    with pytest.raises(MissingExtra, match="OpenVINO is not installed"):
        open_model(None, "face48", engine="openvino")


def test_an_exported_file_keeps_its_precision_by_either_engine(file: Path) -> None:
    images = parity.synthetic(8, runtime.open_export(file).preprocessing)
    one, other = (open_model(None, file, threads=1, engine=name, exact=False) for name in ("auto", "openvino"))
    assert [(each.runner.engine, each.runner.precision) for each in (one, other)] == [
        ("onnx", "fp32"),
        ("openvino", "fp32"),
    ]
    np.testing.assert_allclose(one.probabilities(images), other.probabilities(images), atol=1e-4)
