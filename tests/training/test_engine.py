"""Predictions by the quickest engine: the same answers, made ready once, and never silently by another one."""

from __future__ import annotations

import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from emolab.cli.main import run
from emolab.config import TrainingConfig
from emolab.errors import EmolabError, MissingExtra, UnknownName
from emolab.inference import runtime
from emolab.progress import Progress
from emolab.training.export import engine, formats
from emolab.training.predict import Predictor, load, predict_pool, quickened
from emolab.workspace import Workspace
from tests.support.heard import Heard
from tests.support.learnable import bars, png, trained_workspace

#: What the tests share takes longer to make than most tests take.
pytestmark = pytest.mark.slow

for package in ("onnx", "onnxscript", "onnxruntime", "openvino"):
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed", allow_module_level=True)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return trained_workspace(tmp_path_factory.mktemp("engine") / "faces", 60)


@pytest.fixture(scope="module")
def predictor(trained: Workspace) -> Predictor:
    return load(next(path.parent for path in trained.models.glob("*/model.json")))


IMAGES = bars(64, 3, seed=9)[0]


def quick(
    predictor: Predictor, cache: Path, name: str, *, n: int = 1 << 40, progress: Progress | None = None
) -> Predictor:
    return quickened(
        predictor,
        TrainingConfig(engine=name, threads=1),
        n=n,
        images=lambda k: IMAGES[:k],
        cache=cache,
        progress=progress or Heard(),
    )


def kept(cache: Path) -> list[Path]:
    return sorted(path for path in (cache / "engines").glob("*") if path.suffix in runtime.SUFFIXES)


@pytest.mark.parametrize("name", ["auto", "onnx", "openvino"])
def test_an_engine_gives_the_answers_and_the_features_of_the_network(
    name: str, predictor: Predictor, tmp_path: Path
) -> None:
    quicker = quick(predictor, tmp_path, name)
    assert quicker.runner is not None
    assert quicker.runner.document["to"] == ("onnx" if name == "onnx" else "openvino")
    wanted, features = predictor.probabilities(IMAGES)
    probs, found = quicker.probabilities(IMAGES)
    assert (probs.argmax(axis=1) == wanted.argmax(axis=1)).all()
    near = 1e-4 if quicker.runner.document["precision"] == "fp32" else 0.1
    assert np.abs(probs - wanted).max() < near
    assert np.abs(found - features).max() < near * max(1.0, float(np.abs(features).max()))


def test_an_export_is_made_once_per_model(predictor: Predictor, tmp_path: Path) -> None:
    quick(predictor, tmp_path, "onnx")
    (file,) = kept(tmp_path)
    made = file.stat().st_mtime_ns
    told = json.loads(file.with_name(f"{file.name}.json").read_text())
    assert told["compared"] == 64
    assert told["agreement"] == 1.0
    assert quick(predictor, tmp_path, "onnx").runner is not None
    assert [path.stat().st_mtime_ns for path in kept(tmp_path)] == [made]


def test_a_damaged_export_is_made_again(predictor: Predictor, tmp_path: Path) -> None:
    quick(predictor, tmp_path, "openvino")
    (file,) = kept(tmp_path)
    content = file.read_bytes()
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 0xFF  # a weight of another value would load, and lie
    for broken in (bytes(flipped), content[:1000]):
        file.write_bytes(broken)
        assert quick(predictor, tmp_path, "openvino").runner is not None
        assert len(file.read_bytes()) == pytest.approx(len(content), rel=0.01)
    file.with_name(f"{file.name}.json").write_text("{")
    assert quick(predictor, tmp_path, "openvino").runner is not None


def test_auto_does_not_make_an_export_for_little_work_but_uses_one(predictor: Predictor, tmp_path: Path) -> None:
    enough = int(engine.WORTHWHILE / engine.multiply_adds(predictor.network, predictor.checkpoint)) + 1
    assert quick(predictor, tmp_path, "auto", n=enough - 1).runner is None
    assert kept(tmp_path) == []
    assert quick(predictor, tmp_path, "auto", n=enough).runner is not None
    assert quick(predictor, tmp_path, "auto", n=1).runner is not None
    assert quick(predictor, tmp_path, "torch").runner is None


def test_work_is_counted_in_multiply_adds(predictor: Predictor) -> None:
    from torch import nn

    from emolab.training.networks.backbones import Backbone
    from emolab.training.networks.classifier import Classifier

    size = predictor.checkpoint.size
    convolution = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    network = Classifier(Backbone(convolution, 4, (0.5,), (0.5,), ()), 3, dropout=0.0)
    assert engine.multiply_adds(network.eval(), predictor.checkpoint) == size * size * 4 * 9 + 4 * 3


def test_bfloat16_that_changes_answers_gives_way_to_single_precision(
    predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "has_bfloat16", lambda: True)
    monkeypatch.setattr(engine, "FLIPS", -1.0)
    quicker = quick(predictor, tmp_path, "openvino")
    assert quicker.runner is not None
    assert quicker.runner.document["precision"] == "fp32"


def test_an_export_that_says_something_else_is_told_and_pytorch_predicts(predictor: Predictor, tmp_path: Path) -> None:
    heard = Heard()

    def lies(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.roll(predictor.probabilities(images)[0], 1, axis=1)

    found = engine.runner(
        predictor.network,
        predictor.checkpoint,
        engine="onnx",
        n=1 << 40,
        images=lambda k: IMAGES[:k],
        reference=lies,
        cache=tmp_path,
        progress=heard,
    )
    assert found is None
    assert kept(tmp_path) == []
    (said,) = heard.notes
    assert said.startswith("ONNX Runtime cannot run this model, so PyTorch does, more slowly: its export does not say ")


def test_a_network_that_cannot_be_exported_is_told_and_pytorch_predicts(
    predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise EmolabError("Odd cannot be exported to ONNX: no such operator")

    monkeypatch.setattr(formats, "write", fails)
    heard = Heard()
    assert quick(predictor, tmp_path, "auto", progress=heard).runner is None
    assert heard.notes == [
        "OpenVINO cannot run this model, so PyTorch does, more slowly: Odd cannot be exported to ONNX: no such operator"
    ]


def test_engines_are_chosen_by_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    missing: set[str] = set()
    monkeypatch.setattr(engine, "find_spec", lambda name: None if name in missing else object())
    assert engine.choose("auto") == "openvino"
    assert engine.choose("auto", on_cpu=False) is None
    missing.add("openvino")
    assert engine.choose("auto") == "onnx"
    with pytest.raises(
        MissingExtra, match=r'OpenVINO is not installed\. Install it with: pip install "emolab\[export\]"'
    ):
        engine.choose("openvino")
    missing.add("onnxscript")
    assert engine.choose("auto") is None
    with pytest.raises(MissingExtra, match="onnxscript is not installed"):
        engine.choose("onnx")
    with pytest.raises(UnknownName, match=r'Unknown engine "onx"\. Did you mean "onnx"\?'):
        engine.choose("onx")


def test_only_the_last_exports_are_kept(predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "KEEP", 1)
    quick(predictor, tmp_path, "onnx")
    quick(predictor, tmp_path, "openvino")
    assert [file.suffix for file in kept(tmp_path)] == [".zip"]


def test_the_pool_is_predicted_by_the_engine_and_says_what_pytorch_says(trained: Workspace) -> None:
    from emolab.catalog import models

    with trained.catalog() as catalog, catalog.connect() as conn:
        model = models.get(conn, "champion")
    answers = []
    for file in kept(trained.cache):  # whatever other tests have made before this one
        file.unlink()
    for name in ("torch", "openvino"):
        shutil.rmtree(trained.predictions_folder, ignore_errors=True)
        workspace = Workspace.open(trained.root, overrides=[f"training.engine={name}"])
        answers.append(predict_pool(workspace, model))
        probs = np.array(answers[-1].probs)
        assert len(probs) == 60
    assert len(kept(trained.cache)) == 1
    one, two = (np.array(found.probs) for found in answers)
    assert (one.argmax(axis=1) == two.argmax(axis=1)).mean() >= 0.98
    assert answers[0].embeddings.shape == answers[1].embeddings.shape


def test_the_command_predicts_files_by_the_engine_of_the_settings(
    trained: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for i, image in enumerate(IMAGES[:6]):
        (tmp_path / f"{i}.png").write_bytes(png(image))
    (tmp_path / "broken.png").write_bytes(b"no picture")
    found = []
    for name in ("torch", "onnx"):
        options = ["--json", "--set", f"training.engine={name}"]
        assert run(["-w", str(trained.root), "predict", "champion", str(tmp_path), *options]) == 1
        found.append(json.loads(capsys.readouterr().out)["predictions"])
    assert [row.get("label") for row in found[0]] == [row.get("label") for row in found[1]]
    assert sum("error" in row for row in found[1]) == 1
    assert [file.suffix for file in kept(trained.cache)].count(".onnx") == 1
