"""Where ONNX Runtime computes: on the CPU, or on an NVIDIA GPU by CUDA or TensorRT; never elsewhere than was asked for.

ONNX Runtime lists a provider whose libraries are missing, and then computes on the CPU without a word. So every session
is asked what it became.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

from emolab.errors import ConfigError, EmolabError
from emolab.files import user_cache

#: Devices by what people call them: ONNX Runtime's name, and what it is shown as.
PROVIDERS = {
    "cpu": ("CPUExecutionProvider", "the CPU"),
    "cuda": ("CUDAExecutionProvider", "CUDA"),
    "tensorrt": ("TensorrtExecutionProvider", "TensorRT"),
}
_INSTALL = (
    'Install its build for NVIDIA GPUs: pip uninstall onnxruntime, then pip install "onnxruntime-gpu[cuda,cudnn]"'
)
_LIBRARIES = {
    "cuda": "CUDA and cuDNN",
    "tensorrt": "TensorRT, CUDA and cuDNN",
}

#: How the lines begin in which ONNX Runtime prints what went wrong.
_REASONS = ("Failed to load", "EP Error")


class NoProvider(EmolabError):
    """ONNX Runtime cannot compute on the device that was asked for."""


def check_device(runtime: Any, device: str) -> None:
    """See that ``runtime``, the module onnxruntime, was built to compute on ``device`` (cpu, cuda or tensorrt).

    Raises :class:`NoProvider`, and :class:`ConfigError` for another device.
    """
    if device not in PROVIDERS:
        raise ConfigError(
            f'ONNX Runtime does not compute on "{device}" here; expected {", ".join(PROVIDERS)}.',
            hint="Give one of them as --device.",
        )
    provider, title = PROVIDERS[device]
    there = runtime.get_available_providers()
    if provider not in there:
        also = "; TensorRT's own libraries are to be installed too" if device == "tensorrt" else ""
        raise NoProvider(
            f"The ONNX Runtime that is installed here cannot compute by {title}: it has {', '.join(there)} only.",
            hint=f"{_INSTALL}{also}. Or compute on the CPU: --device cpu",
        )


def session_on(runtime: Any, content: bytes, options: Any, device: str) -> Any:
    """An inference session of the ONNX file ``content`` that computes on ``device``, and will not move elsewhere.

    Raises :class:`NoProvider` where there is no such device; on the CPU, what ONNX Runtime raises for the content.
    """
    check_device(runtime, device)
    if device == "cpu":
        return runtime.InferenceSession(content, options, providers=[PROVIDERS["cpu"][0]])
    provider, title = PROVIDERS[device]
    said = io.StringIO()
    try:
        with _quiet(runtime), redirect_stdout(said):  # it prints to standard output, where answers go
            if hasattr(runtime, "preload_dlls"):  # from the packages of NVIDIA, where these were installed by pip
                runtime.preload_dlls()
            found = runtime.InferenceSession(content, options, providers=_wanted(device))
    except Exception as error:  # ONNX Runtime's exceptions have no common public class
        raise _failed(title, device, str(error)) from error
    got = found.get_providers()
    if not got or got[0] != provider:
        why = next((line for line in said.getvalue().splitlines() if line.startswith(_REASONS)), "")
        raise _failed(title, device, f"it would have computed by {', '.join(got) or 'nothing'} ({why or 'no reason'})")
    found.disable_fallback()  # a failure on the way would be answered by the CPU too
    return found


def _wanted(device: str) -> list[Any]:
    """The providers in their order: what the first one does not know, the next one does.

    TF32, which rounds to 10 bits, is off: the same image gets the same answer on every device.
    """
    cuda = (PROVIDERS["cuda"][0], {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"})
    if device == "cuda":
        return [cuda, PROVIDERS["cpu"][0]]
    place = user_cache() / "tensorrt"  # what TensorRT makes of a network takes it minutes
    place.mkdir(parents=True, exist_ok=True)
    own = {"trt_engine_cache_enable": "True", "trt_engine_cache_path": str(place)}
    return [(PROVIDERS["tensorrt"][0], own), cuda, PROVIDERS["cpu"][0]]


@contextmanager
def _quiet(runtime: Any) -> Iterator[None]:
    """Nothing is logged meanwhile: what goes wrong is told in one line."""
    runtime.set_default_logger_severity(4)
    try:
        yield
    finally:
        runtime.set_default_logger_severity(2)  # as it begins


def _failed(title: str, device: str, why: str) -> NoProvider:
    return NoProvider(
        f"ONNX Runtime could not begin to compute by {title}: {' '.join(why.split())[:300].rstrip('.')}.",
        hint=f"See that nvidia-smi shows a GPU, and that {_LIBRARIES[device]} of the releases that this ONNX Runtime "
        "was built for are installed. Or compute on the CPU: --device cpu",
    )
