"""Which settings of a network's training are worth trying, around those of its recipe."""

from __future__ import annotations

from emolab.config import TrainingConfig
from emolab.modalities.modality import open_modality
from emolab.modalities.preparing import COLORS
from emolab.plugins import AUGMENTATIONS
from emolab.ranges import RANGES
from emolab.stats.search_space import Alone, Between, OneOf, SearchSpace
from emolab.training.networks import backbones, bundled
from emolab.training.runs.recipes import SPECTROGRAM, SQUARE, Plan

#: Beside a solved head nothing else is learned, so only these count.
HEAD_HEEDS = ("training.backbone", "training.size")
#: Sizes that are tried, as multiples of the one that is set.
SIZES = (0.75, 1.0, 1.25)
#: Networks that take one size only.
ONE_SIZE = (*SQUARE, "swin", "maxvit", "timm:", "whisper", "voice16", "bands", "inception")


def network_space(config: TrainingConfig, plan: Plan) -> tuple[SearchSpace, Alone]:
    """What may be tried beside ``plan``, which is what ``config`` comes to, and what counts alone.

    Another network is tried only where the settings leave it open: one that comes with emolab, or is computed.
    """
    networks = _networks(config, plan)
    space: dict[str, OneOf | Between] = {}
    if len(networks) > 1:
        space["training.backbone"] = OneOf(networks)
    if len(sizes := _sizes(plan)) > 1:
        space["training.size"] = OneOf(sizes)
    if plan.mode == "head":
        return space, {}
    space.pop("training.backbone", None)  # rates of one network are not those of another
    space |= {
        "training.lr": _around(plan.lr, 5.0, "training.lr"),
        "training.weight_decay": _around(plan.weight_decay, 10.0, "training.weight_decay"),
        "training.dropout": Between(0.0, 0.5),
        "training.average": OneOf((plan.average, 0.99)) if plan.average else OneOf((0.0, 0.99)),
        "training.augmentation": OneOf(_augmentations(plan)),
        "training.strength": Between(0.4, 1.6),
    }
    if plan.weights != "none" and not backbones.is_blank(plan.backbone):
        space["training.depth_decay"] = OneOf((0.3, 0.5, 0.7, 1.0))
    if plan.batch >= 8:
        space["training.batch"] = OneOf((plan.batch // 2, plan.batch, 2 * plan.batch))
    blank = plan.weights == "none" or backbones.is_blank(plan.backbone)
    if blank or config.flips:
        return space, {}
    space["training.mode"] = OneOf(("full", "full", "full", "head"))
    return space, {"training.mode": ("head", HEAD_HEEDS)}


def _networks(config: TrainingConfig, plan: Plan) -> tuple[str, ...]:
    shown = COLORS[plan.color]
    unsaid = (TrainingConfig().backbone, open_modality(shown.modality).settings.get("training.backbone"))
    if config.backbone not in unsaid or config.weights != "default":
        return (plan.backbone,)
    sound = not shown.mirrors
    known = ("voice16", "bands") if sound else ("face48", "hog")
    return tuple(dict.fromkeys([plan.backbone, *(name for name in known if not bundled.is_missing(name))]))


def _sizes(plan: Plan) -> tuple[int, ...]:
    if plan.backbone.startswith(ONE_SIZE) or COLORS[plan.color].wide > 1:
        return (plan.size,)
    low, high = RANGES["training.size"].low, RANGES["training.size"].high
    found = (8 * round(plan.size * factor / 8) for factor in SIZES)
    return tuple(dict.fromkeys(int(min(max(size, low), high)) for size in found))


def _augmentations(plan: Plan) -> tuple[str, ...]:
    """Those made for what the network is shown; ``imgaug`` takes several times as long as the others."""
    mirrors = COLORS[plan.color].mirrors
    fit = [name for name in AUGMENTATIONS.builtins if name != "imgaug" and (name == SPECTROGRAM) != mirrors]
    return tuple(dict.fromkeys([plan.augmentation, *fit, "none"]))


def _around(value: float, factor: float, name: str) -> Between:
    value = value or 1e-4
    allowed = RANGES[name]
    return Between(max(allowed.low, value / factor), min(allowed.high, value * factor), log=True)
