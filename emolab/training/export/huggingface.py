"""A model as a folder as the Hugging Face Hub wants it: card, settings, weights, and a graph that runs by itself.

Nothing is uploaded. A network of timm also gets the names that timm and transformers load it by; every other one runs
from its ONNX graph, and the card says how. No file holds a pickle.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor, nn

from emolab.errors import DataError
from emolab.files import write_bytes, write_text
from emolab.inference.model_document import DOCUMENT, Checkpoint
from emolab.inference.probabilities import softmax
from emolab.modalities.preparing import COLORS
from emolab.progress import SILENT, Progress
from emolab.training.checkpoint import WEIGHTS
from emolab.training.export import parity
from emolab.training.export.export import SYNTHETIC, Exported, ExportMaterial, export, place_beside
from emolab.training.inputs import batches
from emolab.training.judging.card import card
from emolab.training.networks.backbones import TIMM
from emolab.training.predict import Predictor, load

#: What ``to`` says.
FORMAT = "huggingface"
README, CONFIG, PREPROCESSOR, GRAPH = "README.md", "config.json", "preprocessor_config.json", "model.onnx"
#: By how much a probability of the renamed network may differ.
TOLERANCE = 1e-3
TASKS = {True: "image-classification", False: "audio-classification"}
#: Figures of a model's document -> type and name of the Hub.
FIGURES = {"accuracy": ("accuracy", "Accuracy"), "macro_f1": ("f1", "Macro-F1"), "ece": ("ece", "Calibration error")}


@dataclass(frozen=True, kw_only=True)
class TimmNetwork:
    """A network as timm knows it: its ``architecture``, its ``tensors`` by timm's names, and arguments to build it."""

    architecture: str
    tensors: Mapping[str, Tensor]
    arguments: Mapping[str, Any]


def export_folder(
    folder: Path, out: Path, *, material: ExportMaterial | None = None, progress: Progress = SILENT
) -> Exported:
    """Write the model in ``folder`` to the folder ``out``, whole or not at all, its graph checked as any export is.

    Raises :class:`DataError` where ``out`` is there and not empty, and as :func:`export` does.
    """
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise DataError(f"{out} is there, and not empty.", hint="Name another folder with --out, or empty this one.")
    predictor = load(folder, device="cpu").with_flips(False)
    images = material.images if material else parity.synthetic(SYNTHETIC, predictor.checkpoint.preprocessing)
    with place_beside(out) as beside:
        place = beside / "folder"
        place.mkdir()
        graph = export(folder, place / GRAPH, to="onnx", material=material, progress=progress)
        opens = write_files(place, predictor, graph.document, folder=folder, images=images[:SYNTHETIC])
        names = tuple(sorted(file.name for file in place.iterdir()))
        size = sum((place / name).stat().st_size for name in names)
        if out.is_dir():
            out.rmdir()
        place.replace(out)
    document = {**graph.document, "to": FORMAT}
    return Exported(file=out, size=size, document=document, parity=graph.parity, files=names, opens_with=opens)


def write_files(
    place: Path, predictor: Predictor, document: Mapping[str, Any], *, folder: Path, images: NDArray[np.uint8]
) -> tuple[str, ...]:
    """Write all but the graph into ``place``; what the folder opens with.

    ``document`` is that of the graph, ``folder`` where the model lies; by the ``images`` (n, h, w, c) it is checked
    that timm's network says the same.
    """
    made = predictor.checkpoint
    renamed = timm_network(predictor, images)
    if renamed is None:
        write_bytes(place / WEIGHTS, (folder / WEIGHTS).read_bytes())
        write_bytes(place / DOCUMENT, (folder / DOCUMENT).read_bytes())
    else:
        write_bytes(place / WEIGHTS, save(dict(renamed.tensors), {"format": "pt"}))
    write_text(place / CONFIG, _json(config(made, document, renamed)))
    write_text(place / PREPROCESSOR, _json(preprocessor(made, document, renamed)))
    write_text(place / README, readme(made, document, card(folder), renamed))
    return ("onnxruntime", "emolab") if renamed is None else ("onnxruntime", "timm", "transformers")


def timm_network(predictor: Predictor, images: NDArray[np.uint8]) -> TimmNetwork | None:
    """The network of ``predictor`` with the temperature in its last layer, by timm's names; ``None`` where it has none.

    Also where it would not say the same there, such as for a head that is no single linear layer.
    """
    made = predictor.checkpoint
    if not made.backbone.startswith(TIMM) or not COLORS[made.color].mirrors:
        return None
    import timm

    plain, head = made.backbone.removeprefix(TIMM), predictor.network.head
    sized = any(word in plain for word in ("vit", "deit", "swin", "eva", "beit"))
    arguments: dict[str, Any] = {"img_size": made.size} if sized else {}
    network: nn.Module = timm.create_model(plain, pretrained=False, num_classes=len(made.classes), **arguments)
    layer = getattr(network, "default_cfg", {}).get("classifier")
    if not isinstance(layer, str):
        return None
    tensors = {name: value.detach().cpu() for name, value in predictor.network.backbone.state_dict().items()}
    tensors[f"{layer}.weight"] = head.weight.detach().cpu() / made.temperature
    tensors[f"{layer}.bias"] = head.bias.detach().cpu() / made.temperature
    try:
        network.load_state_dict(tensors)
    except RuntimeError:
        return None
    before, _ = predictor.probabilities(images)
    with torch.inference_mode():
        after = softmax(network.eval()(_normalised(images, made)).numpy())
    if float(np.abs(before - after).max()) > TOLERANCE:
        return None
    contiguous = {name: value.contiguous().clone() for name, value in tensors.items()}
    return TimmNetwork(architecture=plain, tensors=contiguous, arguments=arguments)


def _normalised(images: NDArray[np.uint8], made: Checkpoint) -> Tensor:
    shown = batches.as_images(images, torch.device("cpu")).float() / 255
    mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in (made.mean, made.std))
    return ((shown - mean) / std).expand(-1, 3, -1, -1).contiguous()


def config(made: Checkpoint, document: Mapping[str, Any], renamed: TimmNetwork | None) -> dict[str, Any]:
    """``config.json``: classes by number, and what builds the network."""
    labels: dict[str, Any] = {
        "id2label": {str(i): name for i, name in enumerate(made.classes)},
        "label2id": {name: i for i, name in enumerate(made.classes)},
    }
    told = {key: document[key] for key in ("model", "backbone", "input", "outputs", "temperature", "made_by")}
    if renamed is None:
        return {"architectures": [made.backbone], **labels, "num_labels": len(made.classes), "emolab": told}
    return {
        "architecture": renamed.architecture,
        "num_classes": len(made.classes),
        "num_features": document["width"],
        "label_names": list(made.classes),
        **labels,
        "model_args": dict(renamed.arguments),
        "pretrained_cfg": {
            "tag": "emolab",
            "custom_load": False,
            "input_size": [3, made.size, made.size],
            "fixed_input_size": bool(renamed.arguments),
            "interpolation": "bilinear",
            "crop_pct": 1.0,
            "crop_mode": "border",
            "mean": _three(made.mean),
            "std": _three(made.std),
            "num_classes": len(made.classes),
        },
        "emolab": told,
    }


def preprocessor(made: Checkpoint, document: Mapping[str, Any], renamed: TimmNetwork | None) -> dict[str, Any]:
    """``preprocessor_config.json``: what is done to a picture before the graph, or before timm's network, sees it."""
    height, width, _ = made.preprocessing.shape
    inside = renamed is None
    return {
        "do_resize": True,
        "size": {"height": height, "width": width},
        "resample": 2,  # bilinear
        "do_convert_rgb": made.color == "rgb",
        "do_rescale": not inside,
        "rescale_factor": 1 / 255,
        "do_normalize": not inside,
        "image_mean": _three(made.mean),
        "image_std": _three(made.std),
        "normalised_inside_the_graph": True,
        "description": document["preprocessing"],
    }


def readme(made: Checkpoint, document: Mapping[str, Any], text: str, renamed: TimmNetwork | None) -> str:
    """The card with the Hub's front matter, and how to run what is in the folder."""
    return f"---\n{front_matter(made, renamed)}---\n\n{text.rstrip()}\n\n{_how_to_run(made, document, renamed)}"


def front_matter(made: Checkpoint, renamed: TimmNetwork | None) -> str:
    """What the Hub reads, as YAML: each value is JSON on one line, which YAML contains."""
    mirrors = COLORS[made.color].mirrors
    task = TASKS[mirrors]
    valid = made.metrics.get("valid", {})
    found = [
        {"type": kind, "name": name, "value": round(float(valid[key]), 6)}
        for key, (kind, name) in FIGURES.items()
        if valid.get("n") and valid.get(key) is not None
    ]
    name = f"emolab-{made.backbone.removeprefix(TIMM)}-{made.id[:12]}"
    told: dict[str, Any] = {
        "license": "other",
        "license_name": "see-data-and-licence-below",
        "library_name": "timm" if renamed else "onnx",
        "pipeline_tag": task,
        "tags": ["emotion-recognition", "emolab", "onnx", *(["timm", "transformers"] if renamed else []), task],
        "metrics": [metric["type"] for metric in found if metric["type"] != "ece"],
    }
    if found:
        data = {"type": "own", "name": str(made.about.get("project") or "validation samples"), "split": "valid"}
        result = {"task": {"type": task}, "dataset": data, "metrics": found}
        told["model-index"] = [{"name": name, "results": [result]}]
    return "".join(f"{key}: {json.dumps(value, ensure_ascii=True)}\n" for key, value in told.items())


def _how_to_run(made: Checkpoint, document: Mapping[str, Any], renamed: TimmNetwork | None) -> str:
    classes = json.dumps(list(made.classes), ensure_ascii=True)
    head = (
        "## How to run it\n\n"
        f"`{GRAPH}` takes {document['input']} and gives {', '.join(document['outputs'])}. Mean and spread are "
        "taken off inside it, and its probabilities are calibrated.\n\n"
    )
    if not COLORS[made.color].mirrors:
        return f"{head}A sample becomes its input in this way: {_words(document['preprocessing'])}\n"
    shade = "L" if made.color == "gray" else "RGB"
    text = head + _RECIPE.format(size=made.size, shade=shade, classes=classes, axis="[..., None]" * (shade == "L"))
    if renamed is None:
        return f"{text}\nemolab opens the folder as it is: `emolab predict FOLDER PICTURES`.\n"
    gray = ' of `picture.convert("L").convert("RGB")`' if shade == "L" else ""
    return (
        f"{text}\nThe same network with timm or transformers, on the image processor's pixels{gray}; the temperature "
        f"is in its last layer, so that the softmax of its logits is calibrated:\n\n{_BY_TIMM}"
    )


_RECIPE = """```python
import numpy as np
import onnxruntime
from PIL import Image, ImageOps

CLASSES, SIZE = {classes}, {size}

picture = ImageOps.exif_transpose(Image.open("face.png")).convert("RGB").convert("{shade}")
width, height = (max(1, round(side / max(picture.size) * SIZE)) for side in picture.size)
square = Image.new("{shade}", (SIZE, SIZE))
small = picture.resize((width, height), Image.Resampling.BILINEAR)
square.paste(small, (round((SIZE - width) / 2), round((SIZE - height) / 2)))
pixels = np.asarray(square)[None]{axis}
probabilities = onnxruntime.InferenceSession("model.onnx").run(["probabilities"], {{"images": pixels}})[0][0]
print(dict(zip(CLASSES, probabilities.round(4).tolist())))
```

Cut out the face first. Pictures with transparency, more than 8 bits or a colour profile other than sRGB need more care:
emolab's page on exports has the whole recipe.
"""
_BY_TIMM = """```python
import timm
from transformers import AutoModelForImageClassification

network = timm.create_model("local-dir:FOLDER", pretrained=True)
same = AutoModelForImageClassification.from_pretrained("FOLDER")
```
"""


def _words(preprocessing: Any) -> str:
    text = preprocessing if isinstance(preprocessing, str) else json.dumps(preprocessing, ensure_ascii=False)
    return re.sub(r"\s+", " ", text)


def _three(values: tuple[float, ...]) -> list[float]:
    return [float(value) for value in (values * 3 if len(values) == 1 else values)]


def _json(told: Mapping[str, Any]) -> str:
    return json.dumps(told, indent=2, ensure_ascii=True) + "\n"
