"""Exported models: one file that says what the model says, or no file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from emolab.cli.main import run
from emolab.errors import ConfigError, DataError, EmolabError, MissingExtra
from emolab.inference import runtime
from emolab.labeling.labels.current_labels import labels_if_any
from emolab.training.export import export, formats, graph, parity
from emolab.training.export.export import ExportMaterial, material_of
from emolab.training.export.parity import Parity, compare, synthetic
from emolab.training.predict import load
from emolab.workspace import Workspace
from tests.support.learnable import bars, trained_workspace
from tests.support.paths import ROOT

#: What the tests share takes longer to make than most tests take.
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("traced_once")]

for package in ("onnx", "onnxscript", "onnxruntime", "openvino"):
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed", allow_module_level=True)

ALL = [(to, precision) for to, known in formats.FORMATS.items() for precision in known]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace of 320 samples with a model that tells three classes apart."""
    return trained_workspace(tmp_path_factory.mktemp("export") / "faces", 320)


@pytest.fixture(scope="module")
def folder(trained: Workspace) -> Path:
    return next(path.parent for path in trained.models.glob("*/model.json"))


@pytest.fixture(scope="module")
def files(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One fp32 file per format."""
    made = {to: tmp_path_factory.mktemp("files") / f"model{formats.SUFFIX[to]}" for to in formats.FORMATS}
    for to, file in made.items():
        export.export(folder, file, to=to)
    return made


@pytest.fixture(scope="module")
def material(trained: Workspace, folder: Path) -> ExportMaterial:
    made = load(folder).checkpoint
    found = material_of(trained, made.classes, made.preprocessing, labels_if_any(trained))
    assert found is not None
    return found


def unpacked(file: Path) -> bytes:
    """All that an exported file holds, out of its archive where it is one."""
    if not zipfile.is_zipfile(file):
        return file.read_bytes()
    with zipfile.ZipFile(file) as archive:
        return b"".join(archive.read(name) for name in archive.namelist())


@pytest.mark.parametrize(("to", "precision"), ALL)
def test_a_file_says_what_the_model_says_and_describes_itself(
    to: str, precision: str, folder: Path, material: ExportMaterial, tmp_path: Path
) -> None:
    out = tmp_path / f"model{formats.SUFFIX[to]}"
    made = export.export(folder, out, to=to, precision=precision, material=material)
    assert made.parity.n == len(material.images) >= 60
    assert made.parity.images == "valid"
    assert list(tmp_path.iterdir()) == [out]
    predictor = load(folder)
    runner = graph.open_any(out, threads=1)
    assert runner.classes == predictor.checkpoint.classes
    assert runner.preprocessing == predictor.checkpoint.preprocessing
    assert not {place for place in (str(ROOT), sys.prefix, str(Path.home())) if place.encode() in unpacked(out)}
    assert runner.document["model"] == predictor.checkpoint.id
    assert runner.document["temperature"] == predictor.checkpoint.temperature
    assert runner.document["mean"] == list(predictor.checkpoint.mean)
    assert runner.card.startswith("# Model ")
    images, _ = bars(37, 3, seed=5)
    wanted, features = predictor.probabilities(images)
    for batch in (1, 16):
        probs, logits, found = runner(images, batch=batch)
        assert probs.shape == logits.shape == (37, 3)
        assert found.shape == features.shape
        assert np.allclose(probs.sum(axis=1), 1, atol=1e-4)
        assert np.abs(probs - wanted).max() < {"fp32": 1e-4, "bf16": 0.1, "int8": 0.3}[precision]
    assert runner(images[:0])[0].shape == (0, 3)


def test_the_document_of_a_file_is_read_without_starting_the_model(files: dict[str, Path]) -> None:
    for to in ("onnx", "openvino"):
        found = runtime.describe(files[to])
        assert found["to"] == to
        assert found["input"] == "images: uint8 (n, 16, 16, 1)"
        assert found["outputs"] == ["probabilities", "logits", "features"]


def test_openvinos_archive_holds_its_two_ordinary_files(files: dict[str, Path], tmp_path: Path) -> None:
    with zipfile.ZipFile(files["openvino"]) as archive:
        assert set(archive.namelist()) == {"emolab.json", "card.md", "model.xml", "model.bin"}
        archive.extractall(tmp_path)
    network = runtime.openvino().Core().read_model(tmp_path / "model.xml")
    assert json.loads(network.get_rt_info(["emolab"]).astype(str))["classes"] == ["happy", "sad", "neutral"]


@pytest.mark.parametrize("to", ["onnx", "openvino"])
def test_an_exported_file_runs_without_pytorch_and_reports_to_nobody(
    to: str, files: dict[str, Path], tmp_path: Path
) -> None:
    program = (
        "import sys, pathlib, numpy as np\n"
        "from emolab.inference.runtime import open_export\n"
        "runner = open_export(pathlib.Path(sys.argv[1]), threads=1)\n"
        "print(runner(np.zeros((3, 16, 16, 1), np.uint8))[0].shape)\n"
        "assert not {'torch', 'onnx', 'openvino_telemetry.main'} & set(sys.modules)\n"
    )
    home = tmp_path / "home"
    home.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", program, str(files[to])],
        capture_output=True, text=True, timeout=120, check=False, env={**os.environ, "HOME": str(home)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "(3, 3)\n"
    assert not (home / "intel").exists()  # where OpenVINO's reporter keeps its client id


def test_without_a_workspace_the_check_runs_on_synthetic_images(folder: Path, tmp_path: Path) -> None:
    made = export.export(folder, tmp_path / "model.onnx", to="onnx")
    assert (made.parity.images, made.parity.n, made.parity.fall) == ("synthetic", 64, None)


def test_synthetic_images_are_always_the_same_and_differ_from_one_another() -> None:
    from emolab.modalities.preparing import Preprocessing

    one, two = (synthetic(5, Preprocessing(21, "rgb")) for _ in range(2))
    assert one.shape == (5, 21, 21, 3)
    assert (one == two).all()
    assert len({image.tobytes() for image in one}) == 5
    assert one.std() > 20


def test_a_file_that_says_something_else_is_not_kept(
    folder: Path, material: ExportMaterial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def swapped(*arguments: object, **options: object) -> Parity:
        before = arguments[0]
        assert isinstance(before, np.ndarray)
        return compare(before, before[:, ::-1], images="valid")

    monkeypatch.setattr(parity, "compare", swapped)
    with pytest.raises(DataError, match=r"the onnx file does not say what the model says: the best class differs on "):
        try:
            export.export(folder, tmp_path / "model.onnx", to="onnx", material=material)
        except DataError as error:
            raise DataError(error.message.replace("The onnx", "the onnx")) from error
    assert list(tmp_path.iterdir()) == []


def test_int8_that_costs_macro_f1_is_refused_with_the_figure(
    folder: Path, material: ExportMaterial, tmp_path: Path
) -> None:
    old = tmp_path / "model.onnx"
    old.write_bytes(b"an earlier export")
    gray = ExportMaterial(
        images=material.images,
        called=material.called,
        truth=material.truth,
        supported=material.supported,
        calibration=np.full_like(material.images[:32], 118),  # all gray: ranges that hold nothing
    )
    with pytest.raises(
        DataError, match=r"int8 refused: macro-F1 on 6\d validation samples falls by \d+\.\d\d points \("
    ):
        export.export(folder, old, to="onnx", precision="int8", material=gray)
    assert old.read_bytes() == b"an earlier export"
    assert list(tmp_path.iterdir()) == [old]


def test_int8_needs_samples_to_be_judged_and_calibrated_on(
    folder: Path, material: ExportMaterial, tmp_path: Path
) -> None:
    out = tmp_path / "model.onnx"
    with pytest.raises(DataError, match="at least 50 are needed, and 0 are here"):
        export.export(folder, out, to="onnx", precision="int8")
    no_training = ExportMaterial(images=material.images, called="valid", truth=material.truth)
    with pytest.raises(DataError, match="int8 is calibrated on training samples, and there are none here"):
        export.export(folder, out, to="onnx", precision="int8", material=no_training)
    assert not out.exists()


@pytest.mark.parametrize(
    ("to", "precision", "name", "message"),
    [
        ("onx", "fp32", "a.onnx", 'Unknown export format "onx". Did you mean "onnx"?'),
        ("onnx", "fp16", "a.onnx", 'Unknown precision "fp16". Did you mean "bf16"?'),
        ("onnx", "bf16", "a.onnx", "onnx files hold fp32 or int8, not bf16."),
        ("torchscript", "int8", "a.pt", "torchscript files hold fp32 or bf16, not int8."),
        ("openvino", "fp32", "a.xml", "a.xml must end in .zip to be opened as openvino again."),
    ],
)
def test_what_cannot_be_exported_is_said_before_any_work(to: str, precision: str, name: str, message: str) -> None:
    with pytest.raises(EmolabError) as caught:
        export.export(Path("nowhere"), Path(name), to=to, precision=precision)
    assert caught.value.message.startswith(message)


def probabilities(rows: list[list[float]]) -> NDArray[np.float32]:
    return np.array(rows, dtype=np.float32)


def test_parity_counts_changed_answers_and_the_largest_change() -> None:
    before = probabilities([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.51, 0.49]])
    after = probabilities([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.49, 0.51]])
    found = compare(before, after, images="valid", truth=np.array([0, 1, 0, -1]), classes=("a", "b"))
    assert found.agreement == 0.75
    assert found.largest_difference == pytest.approx(0.1)
    assert found.fall == 0.0
    assert found.failure("int8") is None  # one near-tie may fall to either side
    assert found.failure("fp32") == "a probability differs by 0.1000 on valid images (fp32 may differ by 0.001)"


def test_parity_fails_on_numbers_that_are_none() -> None:
    before = probabilities([[0.9, 0.1]])
    found = compare(before, before * np.float32("nan"), images="synthetic")
    assert "a probability differs by inf" in str(found.failure("int8"))


@pytest.mark.parametrize("suffix", [".onnx", ".zip", ".pt"])
def test_damaged_and_foreign_files_are_refused_by_name(suffix: str, files: dict[str, Path], tmp_path: Path) -> None:
    file = tmp_path / f"model{suffix}"
    content = files[runtime.SUFFIXES[suffix]].read_bytes()
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="is damaged"):
        graph.open_any(file)
    file.unlink()
    with pytest.raises(DataError):
        graph.open_any(file)


def test_a_zip_of_something_else_and_an_unknown_suffix_are_no_exports(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(DataError, match="is no model exported by emolab"):
        runtime.open_export(tmp_path / "other.zip")
    with pytest.raises(DataError, match=r"expected a name that ends in \.onnx, \.zip, \.pt"):
        runtime.open_export(tmp_path / "model.h5")
    (tmp_path / "model.pt").touch()
    with pytest.raises(DataError, match="is TorchScript, which needs PyTorch"):
        runtime.open_export(tmp_path / "model.pt")


def test_a_missing_engine_is_named_with_its_extra(
    files: dict[str, Path], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = (("onnxruntime", "ONNX Runtime", "export"), ("openvino", "OpenVINO", "openvino"))
    for package, name, extra in missing:
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, package, None)
            with pytest.raises(MissingExtra, match=rf'{name} is not installed\. .*pip install "emolab\[{extra}\]"'):
                runtime.open_export(files["onnx"]) if package == "onnxruntime" else runtime.openvino()
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(MissingExtra, match=r"onnxscript is not installed"):
        export.export(folder, tmp_path / "other.onnx", to="onnx")
    assert list(tmp_path.iterdir()) == []


def test_the_command_writes_a_file_and_prints_the_comparison(
    trained: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    place = ["-w", str(trained.root)]
    assert run([*place, "export", "champion", "--to", "onnx"]) == 0
    assert (tmp_path / "champion-fp32.onnx").is_file()
    said = capsys.readouterr().err
    assert "same answer on 100.00% of 6" in said
    assert "macro-F1 " in said
    assert run([*place, "export", "champion", "--to", "openvino", "--out", "m.zip", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["file"] == "m.zip"
    assert found["parity"]["agreement"] == 1.0
    assert found["parity"]["macro_f1_fall_points"] == 0.0
    assert found["bytes"] == (tmp_path / "m.zip").stat().st_size
    assert run([*place, "export", "champion", "--to", "coreml"]) == 1
    assert 'Unknown export format "coreml"' in capsys.readouterr().err


def test_a_model_in_a_folder_is_exported_without_a_workspace(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["export", str(folder), "--to", "onnx", "--out", "x.onnx"]) == 0
    assert "64 made-up images" in capsys.readouterr().err
    with pytest.raises(ConfigError):
        formats.check_wanted("onnx", "fp32", Path("x.zip"))


def test_a_place_that_cannot_be_written_is_a_clear_error(
    trained: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    file = trained.root / "emolab.toml"
    assert run(["-w", str(trained.root), "export", "champion", "--to", "torchscript", "--out", f"{file}/x.pt"]) == 1
    err = capsys.readouterr().err
    assert f"{file}/x.pt could not be written: " in err
    assert "name another place with --out" in err
