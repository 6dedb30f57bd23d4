"""Weights from files, without ever running code from them, with every mismatch named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from emolab.errors import DataError
from emolab.inference.model_document import DOCUMENT, describe

#: Wrappers that training scripts put around names or around the whole state dict.
PREFIXES = ("module.", "model.", "backbone.", "_orig_mod.")
ENVELOPES = ("state_dict", "model", "model_state_dict", "net", "ema")


def read(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file or of a state dict saved by torch (read with ``weights_only=True``).

    Raises :class:`DataError` when the file is missing, damaged, would have to run code, or holds no tensors.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise DataError(f"There is no weights file {file}.", hint="Pass --set training.weights=PATH, or =none.")
    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            found: object = load_file(file)
        else:
            found = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch, safetensors and zip each have errors of their own
        reason = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
        raise DataError(
            f"{file} cannot be read as weights: {reason}",
            hint="Expected .safetensors, or a state dict of plain tensors saved by torch.save.",
        ) from error
    for key in ENVELOPES:
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    if not isinstance(found, Mapping):
        raise DataError(f"{file} holds a {type(found).__name__}, not a state dict.")
    tensors = {str(key): value for key, value in found.items() if isinstance(value, Tensor)}
    if not tensors:
        raise DataError(f"{file} holds no tensors.")
    return tensors


def load_into(module: nn.Module, tensors: Mapping[str, Tensor], *, source: str) -> tuple[str, ...]:
    """Copy ``tensors`` into ``module`` by name and shape; the mismatches, one line each.

    Known wrapper prefixes are taken off where that makes more names fit. Raises :class:`DataError` when fewer than
    half of the module's tensors are found, for then the file belongs to another network, and for numbers not finite.
    """
    own = module.state_dict()
    match = _matched(own, tensors)
    if 2 * len(match.fits) < sum(not _counts(key) for key in own):
        raise DataError(
            f"{source} does not fit this backbone: {len(match.fits)} of {len(own)} tensors match "
            f"(missing, for one, {(match.missing or match.wrong)[0]}).",
            hint="Choose the backbone the weights were made for with --set training.backbone=NAME.",
        )
    odd = [k for k, value in match.fits.items() if value.dtype.is_floating_point and not torch.isfinite(value).all()]
    if odd:
        raise DataError(
            f"{source} holds numbers that are not finite, in {odd[0]}{_and_more(len(odd) - 1)}.",
            hint="The training that made the file went wrong; take an earlier one.",
        )
    module.load_state_dict(match.fits, strict=False)
    shapes = ((key, tuple(match.named[key].shape), tuple(own[key].shape)) for key in match.wrong)
    lines = [f"{key}: {there} in the file, {here} in the network" for key, there, here in shapes]
    lines += [f"{key}: missing in the file, left at random" for key in match.missing]
    lines += [f"{key}: not in the network, ignored" for key in match.extra]
    return tuple(lines)


@dataclass(frozen=True, slots=True)
class _Match:
    """The tensors of a file, ``named`` as in the network: those that fit, and the names of the others.

    ``wrong`` have another shape, ``missing`` are in the network alone, ``extra`` in the file alone.
    """

    named: Mapping[str, Tensor]
    fits: dict[str, Tensor]
    wrong: list[str]
    missing: list[str]
    extra: list[str]


def _matched(own: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> _Match:
    """``tensors`` of a file beside the network's ``own``, under the names with which most of them meet."""
    named = max(_renamings(tensors), key=lambda names: len(names.keys() & own.keys()))
    fits = {key: value for key, value in named.items() if key in own and value.shape == own[key].shape}
    return _Match(
        named=named,
        fits=fits,
        wrong=[key for key in named if key in own and key not in fits],
        missing=[key for key in own if key not in named and not _counts(key)],
        extra=[key for key in named if key not in own],
    )


def _counts(key: str) -> bool:
    """Whether a tensor only counts the batches seen, which many files leave out."""
    return key.endswith("num_batches_tracked")


def start_head(head: nn.Linear, classes: Sequence[str], file: Path) -> tuple[str, ...]:
    """Copy the rows of classes with the same name from the model in ``file`` into ``head``; the names copied.

    Only a model's own weights, with its document beside them, say which row means which class; from any other file
    nothing is taken.
    """
    document = file.parent / DOCUMENT
    if not document.is_file():
        return ()
    known = describe(file.parent).classes
    tensors = read(file)
    weight, bias = tensors.get("head.weight"), tensors.get("head.bias")
    if weight is None or bias is None or weight.shape != (len(known), head.in_features):
        return ()
    shared = tuple(name for name in classes if name in known)
    with torch.no_grad():
        for name in shared:
            head.weight[classes.index(name)] = weight[known.index(name)].to(head.weight.dtype)
            head.bias[classes.index(name)] = bias[known.index(name)].to(head.bias.dtype)
    return shared


def _and_more(n: int) -> str:
    return f" and {n} more" if n else ""


def _renamings(tensors: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
    candidates = [dict(tensors)]
    for prefix in PREFIXES:
        cut = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
        if cut:
            candidates.append(cut)
    return candidates
