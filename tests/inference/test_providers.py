"""Where ONNX Runtime computes: on the device that was asked for, or not at all."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emolab.errors import ConfigError
from emolab.inference import engine_cache, providers, runtime
from emolab.inference.providers import PROVIDERS, NoProvider, session_on
from emolab.loop.model.open_model import open_model
from emolab.training.export import parity
from emolab.training.networks import bundled
from tests.support import calling, films

ort = pytest.importorskip("onnxruntime")
CPU, CUDA, TENSORRT = (PROVIDERS[name][0] for name in ("cpu", "cuda", "tensorrt"))
GPUS = ("cuda", "tensorrt")


@dataclass
class FakeSession:
    """A session as ONNX Runtime makes it: ``got`` are the providers that it came to."""

    got: list[str]
    fallback: bool = True

    def get_providers(self) -> list[str]:
        return self.got

    def disable_fallback(self) -> None:
        self.fallback = False


@dataclass
class FakeRuntime:
    """ONNX Runtime built with providers ``built``; its sessions come to ``works`` of them, or fail with ``error``."""

    built: tuple[str, ...]
    works: tuple[str, ...]
    error: str | None = None
    asked: list[list[Any]] = field(default_factory=list)
    preloaded: int = 0
    severity: int = 2

    def get_available_providers(self) -> list[str]:
        return list(self.built)

    def preload_dlls(self) -> None:
        self.preloaded += 1
        sys.stdout.write("Failed to load libcublasLt.so.13: No such file or directory\n")

    def set_default_logger_severity(self, level: int) -> None:
        self.severity = level

    def InferenceSession(self, content: bytes, options: object, *, providers: list[Any]) -> FakeSession:
        del content, options
        if self.error:
            raise RuntimeError(self.error)
        names = [one if isinstance(one, str) else one[0] for one in providers]
        self.asked.append(names)
        return FakeSession([name for name in names if name in self.works])


ALL = (TENSORRT, CUDA, CPU)


@pytest.mark.parametrize(
    ("device", "expected"), [("cpu", [CPU]), ("cuda", [CUDA, CPU]), ("tensorrt", [TENSORRT, CUDA, CPU])]
)
def test_a_device_that_works_is_asked_for_first_and_is_not_left_again(
    device: str, expected: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(providers, "user_cache", lambda: tmp_path)
    fake = FakeRuntime(ALL, ALL)
    found = session_on(fake, b"", None, device)
    assert fake.asked == [expected]
    assert found.fallback is (device == "cpu")
    assert fake.preloaded == (device != "cpu")


@pytest.mark.parametrize("device", GPUS)
def test_a_build_without_the_provider_says_what_to_install(device: str) -> None:
    fake = FakeRuntime(("AzureExecutionProvider", CPU), ALL)
    with pytest.raises(NoProvider, match=r"cannot compute by (CUDA|TensorRT): it has Azure\w+, CPU\w+ only") as error:
        session_on(fake, b"", None, device)
    assert "pip uninstall onnxruntime" in str(error.value.hint)
    assert "onnxruntime-gpu[cuda,cudnn]" in str(error.value.hint)
    assert ("TensorRT's own libraries" in str(error.value.hint)) is (device == "tensorrt")
    assert not fake.asked


@pytest.mark.parametrize(
    ("device", "works", "became"),
    [("cuda", (CPU,), CPU), ("tensorrt", (CPU,), CPU), ("tensorrt", (CUDA, CPU), f"{CUDA}, {CPU}")],
)
def test_a_session_that_fell_back_without_a_word_is_refused(
    device: str,
    works: tuple[str, ...],
    became: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """What a build for GPUs does where CUDA's libraries or the GPU are missing."""
    monkeypatch.setattr(providers, "user_cache", lambda: tmp_path)
    fake = FakeRuntime(ALL, works)
    with pytest.raises(NoProvider, match=rf"it would have computed by {became} \(Failed to load libcublasLt\.so\.13: "):
        session_on(fake, b"", None, device)
    assert capsys.readouterr() == ("", "")
    assert fake.severity == 2


def test_a_session_that_fails_says_why() -> None:
    with pytest.raises(NoProvider, match=r"could not begin to compute by CUDA: no libcudnn\.") as error:
        session_on(FakeRuntime(ALL, ALL, error="no\n libcudnn."), b"", None, "cuda")
    assert "nvidia-smi" in str(error.value.hint)


def test_another_word_is_no_device() -> None:
    with pytest.raises(ConfigError, match='does not compute on "mps" here; expected cpu, cuda, tensorrt'):
        session_on(FakeRuntime(ALL, ALL), b"", None, "mps")


def without(device: str) -> None:
    """Skip where ``device`` is there."""
    if PROVIDERS[device][0] in ort.get_available_providers():
        pytest.skip(f"this ONNX Runtime has {device}")


@pytest.mark.parametrize("device", GPUS)
@pytest.mark.parametrize("command", ["predict", "predict a video", "live", "serve"])
def test_every_command_stops_where_there_is_no_such_device(
    device: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(device)
    monkeypatch.chdir(tmp_path)
    folder = bundled.folder("face48")
    assert folder is not None
    model = str(folder / bundled.SERVED)
    film = tmp_path / "a.mp4"
    arguments = {
        "predict": ("predict", model, str(tmp_path / "a.png")),
        "predict a video": ("predict", model, str(film)),
        "live": ("live", str(film), model),
        "serve": ("serve", model, "--port", "0"),
    }[command]
    (tmp_path / "a.png").touch()
    films.write(film, films.nobody, seconds=0.5)
    said = calling.emolab(*arguments, "--device", device)
    assert said.code == 1
    assert calling.one_line(said).startswith("error: The ONNX Runtime that is installed here cannot compute by ")
    assert not said.out


def test_a_trained_model_by_tensorrt_is_no_matter_of_pytorch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without("tensorrt")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").touch()
    said = calling.emolab("predict", "face48", "a.png", "--device", "tensorrt")
    assert "cannot compute by TensorRT" in calling.one_line(said)


def test_openvino_and_a_gpu_do_not_go_together(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="OpenVINO computes on the CPU and not by cuda"):
        open_model(None, "face48", engine="openvino", device="cuda")
    folder = bundled.folder("face48")
    assert folder is not None
    with pytest.raises(ConfigError, match="computes on the CPU and not by cuda"):
        runtime.open_export(folder / bundled.SERVED, by_openvino=True, device="cuda")


def test_a_kept_export_is_not_made_again_because_a_device_is_missing(tmp_path: Path) -> None:
    folder = bundled.folder("face48")
    assert folder is not None
    file = tmp_path / "kept.onnx"
    file.write_bytes((folder / bundled.SERVED).read_bytes())
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    (tmp_path / "kept.onnx.json").write_text(json.dumps({"sha256": digest}))

    def opener(_: Path) -> runtime.Runner:
        raise NoProvider("none")

    with pytest.raises(NoProvider):
        engine_cache.kept(file, opener)


def test_the_build_for_gpus_counts_as_onnx_runtime_where_exports_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def version(name: str) -> str:
        if name != "onnxruntime-gpu":
            raise PackageNotFoundError(name)
        return "1.23.0"

    monkeypatch.setattr(engine_cache, "version", version)
    found = engine_cache.file_for(tmp_path, "a" * 64, "onnx", "fp32")
    assert found.name == f"{'a' * 24}-onnxruntime-1.23.0-fp32-v1.onnx"
    with pytest.raises(PackageNotFoundError):
        engine_cache.file_for(tmp_path, "a" * 64, "openvino", "fp32")


@pytest.mark.gpu
@pytest.mark.parametrize("device", GPUS)
def test_a_gpu_says_what_the_cpu_says(device: str) -> None:
    if PROVIDERS[device][0] not in ort.get_available_providers():
        pytest.skip(f"needs an NVIDIA GPU and an ONNX Runtime with {PROVIDERS[device][0]}")
    there, here = (open_model(None, "face48", device=name) for name in (device, "cpu"))
    images = parity.synthetic(64, here.preprocessing)
    np.testing.assert_allclose(there.probabilities(images), here.probabilities(images), atol=1e-4)
