"""Networks that turn images into features: the built-in one, torchvision's, timm's and plugins'."""

from __future__ import annotations

import socket
import urllib.error
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from emolab.errors import ConfigError, DataError, EmolabError, MissingExtra, UnknownName
from emolab.plugins import BACKBONES
from emolab.training.checkpoint import WEIGHTS
from emolab.training.networks import bundled
from emolab.training.networks.weights import load_into, read

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
TIMM = "timm:"
#: Backbones whose features are computed: there is nothing in them to learn or to load.
COMPUTED = ("hog", "bands")


@dataclass(frozen=True)
class Backbone:
    """A network (n, 3, size, size) -> (n, width), how its input is normalised and which weights did not fit."""

    module: nn.Module
    width: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    mismatches: tuple[str, ...]


def build(name: str, weights: str, *, size: int) -> Backbone:
    """The backbone called ``name`` for square images of ``size`` pixels.

    ``weights`` is ``default`` (the published ones), ``none`` (random) or a file. Raises :class:`UnknownName`, or
    :class:`DataError` when the weights cannot be had or the image is too small for the network.
    """
    module: nn.Module = _builder(name)(name, weights, size=size)
    mean, std = getattr(module, "normalisation", IMAGENET)
    return Backbone(module, _width(module, size, name), tuple(mean), tuple(std), getattr(module, "mismatches", ()))


def weights_file(name: str, weights: str) -> Path | None:
    """The file that ``weights`` means for the backbone ``name``; ``None`` where it is downloaded or there is none."""
    if weights == "default":
        folder = bundled.folder(name)
        return folder / WEIGHTS if folder else None
    return None if weights == "none" else Path(weights).expanduser()


def is_blank(name: str) -> bool:
    """Whether the backbone learns everything from the user's samples: without a weights file it has no knowledge."""
    return name == "tiny" or bundled.is_missing(name)


def is_random(name: str, weights: str, module: nn.Module) -> bool:
    """Whether ``module``, built by ``name`` and ``weights``, is still at random; one without weights never is."""
    blank = weights == "none" or (weights == "default" and is_blank(name))
    return blank and any(True for _ in module.parameters())


def require(name: str) -> None:
    """Raise :class:`UnknownName` where no backbone is called ``name``; of timm's, only the prefix is looked at."""
    _builder(name)


def names() -> list[str]:
    """Every backbone by name: registered ones first, then torchvision's classification models."""
    registered = BACKBONES.names()
    return [*registered, *(name for name in _torchvision_names() if name not in registered)]


def _builder(name: str) -> Callable[..., nn.Module]:
    if name in BACKBONES.names():
        return BACKBONES.load(name)
    if name.startswith(TIMM):
        return timm_model
    if name in _torchvision_names():
        return torchvision_model
    raise UnknownName("backbone", name, names(), hint="With timm installed, timm:NAME names any of its models.")


def _torchvision_names() -> list[str]:
    from torchvision import models

    return list(models.list_models(module=models))


def _width(module: nn.Module, size: int, name: str) -> int:
    was = module.training
    module.eval()
    try:
        with torch.no_grad():
            features: Tensor = module(torch.zeros(1, 3, size, size))
    except (RuntimeError, AssertionError, ValueError) as error:
        raise DataError(
            f"{name} cannot take images of {size} x {size} pixels: {str(error).splitlines()[0]}",
            hint="Choose another size, for example: --set training.size=224",
        ) from error
    finally:
        module.train(was)
    if features.ndim != 2:
        raise EmolabError(f"{name} gives {tuple(features.shape)} for one image; expected (1, number of features).")
    return features.shape[1]


def torchvision_model(name: str, weights: str, *, size: int) -> nn.Module:
    """A torchvision classification model without its last layer.

    VGG and AlexNet also lose their wide fully connected layers (up to 120 million weights that need 224 pixels);
    their feature maps are averaged instead.
    """
    from torchvision import models

    constructor = models.get_model_builder(name)
    options: dict[str, Any] = {"weights": None}
    if name.startswith(("googlenet", "inception")):
        options["aux_logits"] = False
    if name.startswith(("googlenet", "inception", "vgg")):
        options["init_weights"] = weights == "none"
    if name.startswith("maxvit"):
        options["input_size"] = (size, size)
    if name.startswith("vit"):
        options["image_size"] = size
    module: nn.Module = constructor(**options)
    mismatches: tuple[str, ...] = ()
    if weights == "default":
        mismatches = load_into(module, _published(name), source=f"torchvision's weights of {name}")
    elif weights != "none":
        mismatches = load_into(module, read(weights), source=weights)
    if name.startswith(("vgg", "alexnet")):
        module.avgpool = nn.AdaptiveAvgPool2d(1)
        module.classifier = nn.Identity()
    else:
        _cut_head(module)
    kept = module.state_dict().keys()
    module.mismatches = tuple(  # type: ignore[assignment]
        line for line in mismatches if line.split(":")[0] in kept or line.endswith("ignored")
    )
    return module


def _published(name: str) -> dict[str, Tensor]:
    from torchvision import models

    weights: Any = models.get_model_weights(name)
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(20.0)
    try:
        tensors: dict[str, Tensor] = weights.DEFAULT.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (urllib.error.URLError, OSError, RuntimeError) as error:
        reason = getattr(error, "reason", error)
        raise DataError(
            f"The published weights of {name} could not be downloaded ({reason}).",
            hint="Name a file with --set training.weights=PATH, or train from scratch with "
            "--set training.weights=none (or take the bundled --set training.backbone=face48).",
        ) from error
    finally:
        socket.setdefaulttimeout(before)
    return tensors


def _cut_head(module: nn.Module) -> None:
    """Replace the last layer, a linear one or SqueezeNet's 1x1 convolution, by nothing."""
    path, _ = [(path, m) for path, m in module.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)][-1]
    parent = module.get_submodule(path.rpartition(".")[0])
    setattr(parent, path.rpartition(".")[2], nn.Identity())


def timm_model(name: str, weights: str, *, size: int) -> nn.Module:
    """timm's model of that name, ``timm:`` taken off, without its head; normalised as timm says."""
    try:
        import timm
    except ImportError:
        raise MissingExtra("timm", "train") from None
    plain = name.removeprefix(TIMM)
    if not timm.is_model(plain):
        raise UnknownName("timm model", plain, timm.list_models())
    options: dict[str, Any] = {"num_classes": 0}
    if any(word in plain for word in ("vit", "deit", "swin", "eva", "beit")):
        options["img_size"] = size
    try:
        module: nn.Module = timm.create_model(plain, pretrained=weights == "default", **options)
    except (OSError, RuntimeError, ValueError) as error:
        if weights != "default":
            raise ConfigError(f"timm cannot build {plain}: {str(error).splitlines()[0]}") from error
        raise DataError(
            f"The published weights of {plain} could not be downloaded ({str(error).splitlines()[0][:160]}).",
            hint="Name a file with --set training.weights=PATH, or train from scratch: --set training.weights=none.",
        ) from error
    if weights not in ("default", "none"):
        module.mismatches = load_into(module, read(weights), source=weights)  # type: ignore[assignment]
    described: dict[str, Any] = getattr(module, "default_cfg", {})
    module.normalisation = (  # type: ignore[assignment]
        described.get("mean", IMAGENET[0]),
        described.get("std", IMAGENET[1]),
    )
    return module
