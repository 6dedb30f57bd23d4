"""From a trained network to a graph that runs elsewhere: bytes in; probabilities, logits and features out."""

from __future__ import annotations

import io
import json
import logging
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from emolab.errors import DataError, EmolabError, MissingExtra
from emolab.inference import runtime
from emolab.inference.runtime import CARD, DOCUMENT, INPUT, OUTPUTS, WEIGHTS, XML, Outputs, Runner
from emolab.training.networks.classifier import Classifier

#: ONNX files are one protobuf message, which cannot be larger than this many bytes.
LARGEST = (2 << 30) - (64 << 20)


class Graph(nn.Module):
    """(n, h, w, c) uint8 -> probabilities (n, k), uncalibrated logits (n, k), features (n, d), all float32.

    With ``flips`` the logits are the mean over the image and its mirror image, which travel as one batch of 2n.
    """

    def __init__(self, network: Classifier, temperature: float, *, low: bool = False, flips: bool = False) -> None:
        super().__init__()
        self.network = network
        self.temperature = temperature
        self.low = low  # bfloat16 inside the backbone
        self.flips = flips

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mean and spread are taken off inside, and the temperature is applied to the probabilities."""
        if self.flips:
            images = torch.cat([images, images.flip(2)])
        with torch.autocast("cpu", torch.bfloat16, enabled=self.low, cache_enabled=False):
            features = self.network.features(images.permute(0, 3, 1, 2))
        logits = self.network.head(features)
        if self.flips:
            logits = logits.reshape(2, -1, logits.shape[1]).mean(0)
            features = features.reshape(2, -1, features.shape[1])[0]
        return torch.softmax(logits / self.temperature, dim=1), logits, features


def to_onnx(graph: Graph, example: NDArray[np.uint8], file: Path) -> None:
    """Write ``graph`` as ONNX with a batch of any size; ``example`` (2 or more images) is traced."""
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise MissingExtra(str(error.name), "export") from error
    if sum(tensor.nbytes for tensor in graph.state_dict().values()) > LARGEST:
        raise DataError("The weights take more than the 2 GB that an ONNX file can hold.", hint="Use --to torchscript.")
    batch = torch.export.Dim("n", min=1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the exporter's own code
            for name in ("torch.onnx", "onnxscript", "onnx_ir"):
                logging.getLogger(name).setLevel(logging.ERROR)
            torch.onnx.export(
                graph,
                (torch.from_numpy(example),),
                file,
                dynamo=True,
                input_names=[INPUT],
                output_names=list(OUTPUTS),
                dynamic_shapes=({0: batch},),
                external_data=False,
                verbose=False,
            )
    except Exception as error:  # a network may use anything, and the exporter raises whatever it stumbles on
        raise EmolabError(
            f"{graph.network.backbone.__class__.__name__} cannot be exported to ONNX: {str(error).strip()[:300]}",
            hint="Try --to torchscript, or another backbone.",
        ) from error


def describe_onnx(file: Path, document: Mapping[str, Any], card: str) -> None:
    """Write document and card into the metadata of the ONNX ``file``, and nothing of where and by whom it was made.

    The exporter notes the lines of source that each node came from, with the paths of this machine.
    """
    import onnx

    model = onnx.load(file)
    graph = model.graph
    for noted in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        del noted.metadata_props[:]
    onnx.helper.set_model_props(model, {DOCUMENT: json.dumps(document), CARD: card})
    model.producer_name = "emolab"
    model.graph.doc_string = f"Model {document['model']}"
    onnx.save(model, file)


def to_openvino(source: Path, file: Path, document: Mapping[str, Any], card: str) -> None:
    """Write the ONNX file ``source`` as OpenVINO: a zip, not compressed, of its two files, document and card."""
    vino = runtime.openvino()
    xml = file.with_name(XML)
    try:
        network = vino.Core().read_model(source)
        network.set_rt_info(json.dumps(document), ["emolab"])
        vino.save_model(network, xml, compress_to_fp16=document["precision"] == "bf16")
    except RuntimeError as error:
        raise EmolabError(
            f"OpenVINO cannot read this network: {str(error).strip()[:300]}", hint="Try --to onnx."
        ) from error
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(DOCUMENT, json.dumps(document, indent=2))
        archive.writestr(CARD, card)
        for part in (xml, xml.with_name(WEIGHTS)):
            archive.write(part, part.name)
            part.unlink()


def to_torchscript(
    graph: Graph, example: NDArray[np.uint8], file: Path, document: Mapping[str, Any], card: str
) -> None:
    """Write ``graph`` as a frozen TorchScript archive with document and card as extra files."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # TorchScript is announced to go; whoever asks for it knows
        traced: Any = torch.jit.trace(  # type: ignore[no-untyped-call]
            graph, (torch.from_numpy(example),), check_trace=False
        )
        frozen = torch.jit.freeze(traced.eval())
        torch.jit.save(frozen, str(file), _extra_files={DOCUMENT: json.dumps(document), CARD: card})
    _without_sources(file)


def _without_sources(file: Path) -> None:
    """Leave out of a TorchScript archive the parts that only tell which lines of source, with paths, it came from."""
    part = file.with_name(f"{file.name}.part")
    with zipfile.ZipFile(file) as whole, zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as kept:
        for name in whole.namelist():
            if not name.endswith(".debug_pkl"):
                kept.writestr(zipfile.ZipInfo(name), whole.read(name))
    part.replace(file)


def open_torchscript(file: Path) -> Runner:
    """The TorchScript model in ``file``. Raises :class:`DataError` when it is damaged or not emolab's."""
    extra: dict[str, str | bytes] = {DOCUMENT: "", CARD: ""}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module: Any = torch.jit.load(  # type: ignore[no-untyped-call]
                io.BytesIO(file.read_bytes()), map_location="cpu", _extra_files=extra
            )
    except (OSError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{file} is damaged: {reason}", hint="Export the model again.") from error
    texts = {key: value.decode() if isinstance(value, bytes) else value for key, value in extra.items()}

    def compute(images: NDArray[np.uint8]) -> Outputs:
        with torch.inference_mode():
            probs, logits, features = module(torch.from_numpy(images))
        return probs.numpy(), logits.numpy(), features.numpy()

    document = runtime.check(file, texts[DOCUMENT])
    return Runner(document, texts[CARD], compute, "torchscript", document["precision"])


def open_any(file: Path, *, threads: int | None = None) -> Runner:
    """The exported model in ``file``, whatever its format."""
    opener: Callable[..., Runner] = runtime.open_export
    if runtime.SUFFIXES.get(file.suffix.lower()) == "torchscript":
        return open_torchscript(file)
    return opener(file, threads=threads)
