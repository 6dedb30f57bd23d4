"""Whisper's encoder out of the files it is passed on in: CTranslate2's ``model.bin``, Hugging Face's safetensors.

Nothing of either library is needed, and no code in a file is run. Other files are none of this module's business:
:func:`find` says ``None`` of them.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from emolab.config import TrainingConfig
from emolab.errors import ConfigError, DataError
from emolab.training.networks.whisper import BANDS, PLACES, SIZES, SpeechEncoder, Whisper

#: What ``training.weights`` may say that is no path, and the backbones that settings have which nobody chose.
WORDS, REPLACED = ("default", "champion", "pretrained", "none"), ("face48", "voice16")
#: How a file of CTranslate2 says that it is a Whisper, after four bytes of its version.
SPEC = b"\x0c\x00WhisperSpec\x00"
VERSIONS = range(4, 8)
#: CTranslate2's numbers for types; 5 is bfloat16, read as 16 bits.
KINDS: Mapping[int, str] = {0: "<f4", 1: "<i1", 2: "<i2", 3: "<i4", 4: "<f2", 5: "<u2"}
BFLOAT16 = 5
#: Where the encoder stands in files of Hugging Face and of OpenAI's layout passed through it.
PREFIXES = ("model.encoder.", "encoder.")
#: Our names in a layer -> CTranslate2's.
CT2_PARTS: Mapping[str, str] = {
    "norm1": "self_attention/layer_norm",
    "qkv": "self_attention/linear_0",
    "out": "self_attention/linear_1",
    "norm2": "ffn/layer_norm",
    "wide": "ffn/linear_0",
    "narrow": "ffn/linear_1",
}
#: Our names in a layer -> Hugging Face's, but for the three parts of qkv.
HF_PARTS: Mapping[str, str] = {
    "norm1": "self_attn_layer_norm",
    "out": "self_attn.out_proj",
    "norm2": "final_layer_norm",
    "wide": "fc1",
    "narrow": "fc2",
}


@dataclass(frozen=True)
class HeldEncoder:
    """The encoder in ``file``: its ``name`` as a backbone, and ``tensors`` by the names of a :class:`SpeechEncoder`.

    ``norm.weight`` and ``norm.bias``, behind the last layer, are there as well.
    """

    file: Path
    name: str
    tensors: Mapping[str, Tensor]

    def tensors_for(self, module: nn.Module) -> dict[str, Tensor]:
        """What ``module``, which may have fewer layers and places, takes of it."""
        own = module.state_dict()
        found = {key: self.tensors[key.removeprefix("encoder.")] for key in own}
        return {key: value[: len(own[key])] if key.endswith("places") else value for key, value in found.items()}


def find(path: str | Path) -> Path | None:
    """The file of Whisper's weights that ``path``, a file or a folder, means; ``None`` where it means anything else."""
    place = Path(path).expanduser()
    files = [place / name for name in ("model.bin", "model.safetensors")] if place.is_dir() else [place]
    return next((file for file in files if file.is_file() and (_is_ct2(file) or _hf_keys(file))), None)


def settled(config: TrainingConfig) -> TrainingConfig:
    """``config`` with the file and the backbone that its weights mean, where they are a Whisper in a file or folder.

    It takes the place of the backbones that settings begin with. Raises :class:`ConfigError` for another backbone, and
    what :func:`read` raises.
    """
    if config.weights in WORDS:
        return config
    held = read(config.weights)
    if held is None:
        return config
    if config.backbone not in (*REPLACED, held.name):
        raise ConfigError(
            f"{held.file} holds a {held.name}, but training.backbone is {config.backbone}.",
            hint=f"Use --set training.backbone={held.name}, or other weights.",
        )
    return replace(config, backbone=held.name, weights=str(held.file))


def read(path: str | Path) -> HeldEncoder | None:
    """The encoder that ``path``, a file or a folder, holds; ``None`` for a file that is no Whisper.

    Raises :class:`DataError` for one that is damaged or of a size that emolab has no backbone for, and for a folder
    without one.
    """
    file = find(path)
    if file is None and Path(path).expanduser().is_dir():
        raise DataError(
            f"There is no Whisper in the folder {path}: neither a model.bin of CTranslate2 nor a model.safetensors of "
            "Hugging Face.",
            hint="Name the file that you mean: --set training.weights=PATH",
        )
    if file is None:
        return None
    try:
        tensors = _of_ct2(file) if _is_ct2(file) else _of_hf(file)
    except (struct.error, ValueError, KeyError, IndexError, OSError) as error:
        raise DataError(
            f"{file} is a Whisper, but damaged: {' '.join(str(error).split())[:120] or type(error).__name__}.",
            hint="Copy or convert it again.",
        ) from error
    odd = [key for key, value in tensors.items() if not torch.isfinite(value).all()]
    if odd:
        raise DataError(f"{file} holds numbers that are not finite, in {odd[0]}.", hint="Copy or convert it again.")
    return HeldEncoder(file, _name(file, tensors), tensors)


def build(name: str, weights: str, *, size: int) -> nn.Module:
    """The encoder called ``name`` with the weights of a Whisper file or of a model of emolab's; ``none``: random."""
    from emolab.training.networks import weights as files

    if size != BANDS:
        raise DataError(f"{name} hears {BANDS} bands, not {size}.", hint=f"Leave it out: --set training.size={BANDS}")
    if weights == "default":
        raise DataError(
            f"{name} does not come with emolab, and nothing is downloaded for it.",
            hint="Name the file or folder: --set training.weights=PATH (of CTranslate2 or Hugging Face)",
        )
    module = Whisper(SIZES[name])
    if weights == "none":
        return module
    held = read(weights)
    if held is None:
        module.mismatches = files.load_into(module, files.read(weights), source=weights)  # type: ignore[assignment]
    elif held.name != name:
        raise DataError(f"{weights} holds a {held.name}, not a {name}.", hint=f"--set training.backbone={held.name}")
    else:
        module.load_state_dict(held.tensors_for(module))
    return module


def _name(file: Path, tensors: Mapping[str, Tensor]) -> str:
    layers = sum(key.endswith("qkv.weight") for key in tensors)
    width, bands = tensors["conv1.weight"].shape[:2]
    fits = [name for name, size in SIZES.items() if (size.width, size.layers) == (width, layers)]
    if not fits or bands != BANDS:
        raise DataError(
            f"{file} holds an encoder of {layers} layers, {width} wide, for {bands} bands, which emolab has no network "
            "for.",
            hint=f"Take one of these sizes: {', '.join(SIZES)}.",
        )
    wrong = [key for key, shape in _shapes(width, layers).items() if tuple(tensors[key].shape) != shape]
    if wrong:
        raise DataError(f"{file} is damaged: {wrong[0]} is {tuple(tensors[wrong[0]].shape)}.", hint="Convert it again.")
    return fits[0]


def _shapes(width: int, layers: int) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return {
            key: tuple(value.shape) for key, value in SpeechEncoder(width, layers, places=PLACES).state_dict().items()
        }


def _is_ct2(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(4 + len(SPEC))[4:] == SPEC


def _of_ct2(file: Path) -> dict[str, Tensor]:
    """The encoder's tensors of a file of CTranslate2, in single precision; 8 and 16 bits are unfolded."""
    content = file.read_bytes()
    version = struct.unpack_from("<I", content)[0]
    if version not in VERSIONS:
        raise ValueError(f"version {version} of the format is not known (known: {VERSIONS[0]} to {VERSIONS[-1]})")
    held = _variables(content, 4 + len(SPEC) + 4)

    def of(name: str) -> Tensor:
        values = held[f"encoder/{name}"]
        scale = held.get(f"encoder/{name}_scale")
        if scale is not None:
            values = values / scale.reshape(-1, *[1] * (values.ndim - 1))
        return torch.from_numpy(np.array(values, dtype=np.float32))

    tensors = {f"{name}.{kind}": of(f"{name}/{kind}") for name in ("conv1", "conv2") for kind in ("weight", "bias")}
    tensors["places"] = of("position_encodings/encodings")
    tensors |= {"norm.weight": of("layer_norm/gamma"), "norm.bias": of("layer_norm/beta")}
    count = len({name.split("/")[1] for name in held if name.startswith("encoder/layer_") and name.count("/") > 2})
    for number in range(count):
        for own, theirs in CT2_PARTS.items():
            kinds = ("gamma", "beta") if own.startswith("norm") else ("weight", "bias")
            for kind, called in zip(("weight", "bias"), kinds, strict=True):
                tensors[f"layers.{number}.{own}.{kind}"] = of(f"layer_{number}/{theirs}/{called}")
    return tensors


def _variables(content: bytes, start: int) -> dict[str, NDArray[Any]]:
    """Every number array of the encoder by name; ``start`` is where their count stands."""
    at, found = start, {}

    def taken(code: str) -> int:
        nonlocal at
        value: int = struct.unpack_from(f"<{code}", content, at)[0]
        at += struct.calcsize(code)
        return value

    for _ in range(taken("I")):
        length = taken("H")
        name = content[at : at + length - 1].decode("utf-8")
        at += length
        shape = [taken("I") for _ in range(taken("B"))]
        kind, size = taken("B"), taken("I")
        if at + size > len(content):
            raise ValueError("it is cut off")
        if name.startswith("encoder/"):
            number = np.dtype(KINDS[kind])
            values: NDArray[Any] = np.frombuffer(content, number, size // number.itemsize, at)
            if kind == BFLOAT16:
                values = (values.astype(np.uint32) << 16).view(np.float32)
            found[name] = values.reshape(shape)
        at += size
    return found


def _hf_keys(file: Path) -> bool:
    from safetensors import SafetensorError, safe_open

    if file.suffix != ".safetensors":
        return False
    try:
        with safe_open(file, framework="pt") as held:
            keys = set(held.keys())
    except (SafetensorError, OSError):
        return False
    return any({f"{start}conv1.weight", f"{start}layers.0.self_attn.q_proj.weight"} <= keys for start in PREFIXES)


def _of_hf(file: Path) -> dict[str, Tensor]:
    """The encoder's tensors of a file of Hugging Face, in single precision."""
    from safetensors import safe_open

    with safe_open(file, framework="pt") as held:
        keys = set(held.keys())
        start = next(start for start in PREFIXES if f"{start}conv1.weight" in keys)
        found = {key.removeprefix(start): held.get_tensor(key).float() for key in keys if key.startswith(start)}
    tensors = {f"{name}.{kind}": found[f"{name}.{kind}"] for name in ("conv1", "conv2") for kind in ("weight", "bias")}
    tensors["places"] = found["embed_positions.weight"]
    tensors |= {f"norm.{kind}": found[f"layer_norm.{kind}"] for kind in ("weight", "bias")}
    count = len({key.split(".")[1] for key in found if key.startswith("layers.")})
    for number in range(count):
        theirs = f"layers.{number}"
        for own, called in HF_PARTS.items():
            for kind in ("weight", "bias"):
                tensors[f"{theirs}.{own}.{kind}"] = found[f"{theirs}.{called}.{kind}"]
        q, k, v = (found[f"{theirs}.self_attn.{part}_proj.weight"] for part in "qkv")
        biases = [found[f"{theirs}.self_attn.{part}_proj.bias"] for part in "qv"]
        tensors[f"{theirs}.qkv.weight"] = torch.cat([q, k, v])
        tensors[f"{theirs}.qkv.bias"] = torch.cat([biases[0], torch.zeros_like(biases[0]), biases[1]])
    return tensors
