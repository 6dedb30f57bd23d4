"""Running an exported model without PyTorch: one file, ONNX Runtime or OpenVINO, images of bytes in, probabilities out.

A file describes itself: classes, preprocessing, temperature, the id of its model and the model card are inside.
"""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emolab.errors import ConfigError, DataError, MissingExtra
from emolab.inference.providers import NoProvider, session_on
from emolab.modalities.preparing import NONE, VERSIONS, Preprocessing

FORMAT = "emolab-export/1"
#: Names of the parts: keys of the metadata in ONNX, files in the archives of OpenVINO and TorchScript.
DOCUMENT, CARD = "emolab.json", "card.md"
XML, WEIGHTS = "model.xml", "model.bin"
INPUT, OUTPUTS = "images", ("probabilities", "logits", "features")
SUFFIXES = {".onnx": "onnx", ".zip": "openvino", ".pt": "torchscript"}

Outputs = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]


@dataclass(frozen=True)
class Runner:
    """An exported model, ready. ``document`` says what it is, ``card`` is its model card in Markdown.

    ``engine`` (onnx, openvino or torchscript) computes it, in ``precision`` (fp32, bf16 or int8). ``file`` is where it
    was read, ``None`` where that is not known.
    """

    document: Mapping[str, Any]
    card: str
    compute: Callable[[NDArray[np.uint8]], Outputs]
    engine: str
    precision: str
    file: Path | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes, in the order of the outputs."""
        return tuple(self.document["classes"])

    @property
    def preprocessing(self) -> Preprocessing:
        """How images are prepared for this model."""
        how = self.document.get("normalise", NONE)
        return Preprocessing(self.document["size"], self.document["color"], normalise=how)

    def __call__(self, images: NDArray[np.uint8], *, batch: int = 32) -> Outputs:
        """Probabilities (n, k), uncalibrated logits (n, k) and features (n, d) of images (n, size, size, c)."""
        parts = [self.compute(np.ascontiguousarray(images[i : i + batch])) for i in range(0, len(images), batch)]
        k, d = len(self.document["classes"]), self.document["width"]
        empty = tuple(np.empty((0, n), np.float32) for n in (k, k, d))
        probs, logits, features = (np.concatenate([e, *(p[i] for p in parts)]) for i, e in enumerate(empty))
        return probs, logits, features


def describe(file: Path) -> dict[str, Any]:
    """What is written in the exported ``file`` about itself. Raises :class:`DataError` when it is no such file."""
    return _reader(file)(file)[0]


def open_export(
    file: Path,
    *,
    threads: int | None = None,
    by_openvino: bool = False,
    precision: str | None = None,
    device: str = "cpu",
) -> Runner:
    """The model in ``file``, loaded to run on ``threads`` cores (``None``: all) or on ``device`` (cuda, tensorrt).

    With ``by_openvino`` an ONNX file is run by OpenVINO too. ``precision`` = "bf16" makes OpenVINO compute a file of
    single precision in bfloat16 [as the file was exported].

    Raises :class:`DataError` for a file that is damaged, foreign or newer, :class:`MissingExtra` without its engine,
    :class:`emolab.inference.providers.NoProvider` without its device, :class:`ConfigError` for OpenVINO on another
    device than the CPU.
    """
    document, card, content = _reader(file)(file)
    engine = "onnx" if document["to"] == "onnx" and not by_openvino else "openvino"
    start, wanted = _openvino if engine == "openvino" else _onnx, document["precision"]
    if precision is not None and engine == "openvino" and wanted == "fp32":
        wanted = precision
    if engine == "openvino" and device != "cpu":
        raise ConfigError(
            f"OpenVINO, which runs {file.name}, computes on the CPU and not by {device}.",
            hint="Use --device cpu, or an ONNX file (emolab export MODEL --to onnx) and training.engine = onnx.",
        )
    try:
        return Runner(document, card, start(content, wanted, threads, device), engine, wanted, file)
    except (MissingExtra, NoProvider, ConfigError):
        raise
    except Exception as error:  # both engines raise classes of their own for content they cannot read
        raise DataError(f"{file} is damaged: {_short(error)}.", hint="Export the model again.") from error


def _reader(file: Path) -> Callable[[Path], tuple[dict[str, Any], str, tuple[bytes, bytes]]]:
    kind = SUFFIXES.get(file.suffix.lower())
    if kind is None:
        raise DataError(f"{file} is no exported model: expected a name that ends in {', '.join(SUFFIXES)}.")
    if kind == "torchscript":
        raise DataError(f"{file} is TorchScript, which needs PyTorch.", hint="Export to onnx or openvino instead.")
    return _read_onnx if kind == "onnx" else _read_archive


def _read_onnx(file: Path) -> tuple[dict[str, Any], str, tuple[bytes, bytes]]:
    runtime = onnxruntime()
    content = _bytes(file)
    options = runtime.SessionOptions()
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    try:
        session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions have no common public class
        raise DataError(f"{file} is damaged: {_short(error)}.", hint="Export the model again.") from error
    found = session.get_modelmeta().custom_metadata_map
    return check(file, found.get(DOCUMENT)), found.get(CARD, ""), (content, b"")


def _read_archive(file: Path) -> tuple[dict[str, Any], str, tuple[bytes, bytes]]:
    try:
        with zipfile.ZipFile(file) as archive:
            parts = {name: archive.read(name) for name in (DOCUMENT, CARD, XML, WEIGHTS)}
    except KeyError as error:
        raise DataError(f"{file} is no model exported by emolab ({error.args[0]}).") from None
    except (OSError, zipfile.BadZipFile, NotImplementedError) as error:
        raise DataError(f"{file} is damaged: {_short(error)}.", hint="Export the model again.") from error
    return check(file, parts[DOCUMENT].decode()), parts[CARD].decode(), (parts[XML], parts[WEIGHTS])


def check(file: Path, text: str | None) -> dict[str, Any]:
    """The document written in ``file`` as ``text``; :class:`DataError` when it is missing or of another version."""
    found = json.loads(text) if text else None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise DataError(f"{file} is not a model this emolab knows (expected format {FORMAT}).", hint="Export it again.")
    if found["decoder"] not in VERSIONS:
        raise DataError(
            f"{file} expects images decoded by version {found['decoder']}; this emolab has "
            f"{', '.join(map(str, VERSIONS))}.",
            hint="Upgrade emolab, or export the model again.",
        )
    return found


def _onnx(
    content: tuple[bytes, bytes], precision: str, threads: int | None, device: str
) -> Callable[[NDArray[np.uint8]], Outputs]:
    del precision  # it is in the graph
    runtime = onnxruntime()
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads or 0
    options.inter_op_num_threads = 1
    # Waiting threads otherwise burn their core, which other processes may need.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = session_on(runtime, content[0], options, device)

    def compute(images: NDArray[np.uint8]) -> Outputs:
        probs, logits, features = session.run(list(OUTPUTS), {INPUT: images})
        return probs, logits, features

    return compute


def plain_session(content: bytes) -> Any:
    """A session of the ONNX file ``content`` on one core of the CPU, for what is asked seldom."""
    runtime = onnxruntime()
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return session_on(runtime, content, options, "cpu")


def _openvino(
    content: tuple[bytes, bytes], precision: str, threads: int | None, device: str
) -> Callable[[NDArray[np.uint8]], Outputs]:
    del device  # always the CPU
    vino = openvino()
    core = vino.Core()
    network = core.read_model(model=content[0], weights=content[1])
    settings: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
    }
    if threads:
        settings["INFERENCE_NUM_THREADS"] = threads
    compiled = core.compile_model(network, "CPU", settings)
    places = [compiled.output(name) for name in OUTPUTS]
    request = compiled.create_infer_request()

    def compute(images: NDArray[np.uint8]) -> Outputs:
        found = request.infer({INPUT: images})
        probs, logits, features = (np.array(found[place], dtype=np.float32) for place in places)
        return probs, logits, features

    return compute


def onnxruntime() -> Any:
    """The module; :class:`MissingExtra` where it is not installed."""
    try:
        import onnxruntime as module
    except ImportError as error:
        raise MissingExtra("ONNX Runtime", "export") from error
    return module


def has_bfloat16() -> bool:
    """Whether OpenVINO computes in bfloat16 on this processor. Raises :class:`MissingExtra` without OpenVINO."""
    return "BF16" in openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def openvino() -> Any:
    """The module; :class:`MissingExtra` where it is not installed.

    Its import reports to Google Analytics, without asking, by way of the package openvino_telemetry; where that
    package cannot be imported, OpenVINO falls back to a stub that sends nothing. So it cannot be imported here.
    """
    if "openvino" not in sys.modules:
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import openvino as module
    except ImportError as error:
        raise MissingExtra("OpenVINO", "openvino") from error
    return module


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}.") from error


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200].rstrip(".")
