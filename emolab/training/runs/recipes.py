"""Sensible settings for each backbone; whatever the settings leave open comes from here."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TypeVar

from emolab.config import TrainingConfig
from emolab.errors import ConfigError, UnknownName
from emolab.modalities.preparing import COLORS, NONE, Preprocessing, require_speakers
from emolab.plugins import AUGMENTATIONS
from emolab.ranges import RANGES, WORDS, check
from emolab.training.networks import backbones, encoder_file


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one family of backbones likes to be trained; ``images`` is the work of a run, which sets its epochs."""

    size: int
    batch: int = 32
    lr: float = 1e-3
    optimizer: str = "adamw"
    depth_decay: float = 0.4
    weight_decay: float = 0.02
    dropout: float = 0.2
    head_epochs: int = 1
    images: int = 30_000
    augmentation: str = "torchvision"
    color: str | None = None  # where the network knows only one
    solve_head: bool = False  # before the first step, on the features as they are
    flips: bool = False  # judge an image together with its mirror image
    scratch: Recipe | None = None  # instead of this one, where weights start at random


#: First match on the start of the name wins. VGG has no batch norm to steady it and wants small steps; MobileNetV2's
#: pooled features are large (mean squared norm about 1,600), with which plain SGD does not settle.
RECIPES: tuple[tuple[str, Recipe], ...] = (
    (
        "face48",
        Recipe(
            size=48,
            color="gray",
            augmentation="warp",
            solve_head=True,
            flips=True,
            head_epochs=0,
            lr=1e-4,
            depth_decay=1.0,
            images=20_000,
            scratch=Recipe(
                size=48,
                color="gray",
                augmentation="warp",
                batch=128,
                optimizer="sgd",
                lr=0.15,
                weight_decay=5e-4,
                depth_decay=1.0,
                dropout=0.3,
                flips=True,
                head_epochs=0,
                images=600_000,
            ),
        ),
    ),
    (
        "tiny",
        Recipe(size=48, batch=32, lr=2e-3, weight_decay=0.05, depth_decay=1.0, head_epochs=0, images=20_000),
    ),
    (
        "hog",
        Recipe(size=48, lr=2e-2, weight_decay=0.05, depth_decay=1.0, head_epochs=0, images=14_000),
    ),
    (
        "bands",
        Recipe(size=64, color="sound", lr=2e-2, weight_decay=0.05, depth_decay=1.0, head_epochs=0, images=14_000),
    ),
    (
        "voice16",
        Recipe(
            size=64,
            color="sound",
            solve_head=True,
            head_epochs=0,
            lr=1e-4,
            depth_decay=1.0,
            images=10_000,
            scratch=Recipe(
                size=64,
                color="sound",
                batch=32,
                optimizer="sgd",
                lr=0.1,
                weight_decay=1e-3,
                depth_decay=1.0,
                dropout=0.3,
                head_epochs=0,
                images=100_000,
            ),
        ),
    ),
    (
        "whisper",
        Recipe(
            size=80,
            color="whisper",
            solve_head=True,
            head_epochs=0,
            lr=1e-4,
            depth_decay=1.0,
            weight_decay=0.05,
            images=10_000,
        ),
    ),
    ("mobilenet", Recipe(size=96, lr=1e-3, dropout=0.2)),
    ("efficientnet", Recipe(size=96, lr=1e-3, dropout=0.3)),
    ("squeezenet", Recipe(size=96, lr=5e-4, dropout=0.3)),
    ("resnet", Recipe(size=96, lr=8e-4, depth_decay=0.4)),
    ("vgg", Recipe(size=64, lr=2e-4, depth_decay=0.4, dropout=0.5)),
    ("alexnet", Recipe(size=96, lr=2e-4, dropout=0.5)),
    ("inception", Recipe(size=160, lr=5e-4)),
    ("vit", Recipe(size=224, batch=16, lr=3e-4)),
    ("maxvit", Recipe(size=224, batch=16, lr=3e-4)),
    ("swin", Recipe(size=224, batch=16, lr=3e-4)),
    ("timm:", Recipe(size=224, batch=16, lr=5e-4)),
)
DEFAULT = Recipe(size=96, lr=5e-4)
#: The augmentation of sounds; all others move pictures about.
SPECTROGRAM = "spectrogram"
#: Networks that know where in a picture they look, and so take only square ones.
SQUARE = ("vit", "maxvit", "timm:vit", "timm:deit", "timm:eva", "timm:beit")
#: All layers learn, or the head alone is solved on cached features.
FEWEST_EPOCHS, MOST_EPOCHS = 8, 60
Number = TypeVar("Number", int, float)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Every number a run needs; stored with the model, and the run's identity together with its data."""

    backbone: str
    weights: str
    size: int
    color: str
    epochs: int
    head_epochs: int
    batch: int
    optimizer: str
    lr: float
    depth_decay: float
    weight_decay: float
    dropout: float
    augmentation: str
    strength: float
    solve_head: bool
    objective: str
    average: float
    patience: int
    precision: str
    device: str
    threads: int
    seed: int
    mode: str = "full"
    tuning: bool = True
    flips: bool = False
    teacher: str = ""
    teacher_share: float = 0.0
    normalise: str = NONE

    @property
    def preprocessing(self) -> Preprocessing:
        """How samples become what the network is shown."""
        return Preprocessing(self.size, self.color, normalise=self.normalise)


def plan(config: TrainingConfig, *, n_train: int, color: str) -> Plan:
    """``config`` with everything that was left open filled in for ``n_train`` samples of ``color`` (gray, rgb, sound).

    Weights that are a Whisper bring their backbone along. Raises :class:`ConfigError` for a value out of range or for
    settings that do not go together, and :class:`UnknownName` for a backbone or an augmentation nobody knows: before
    an image is decoded for it.
    """
    config = encoder_file.settled(config)
    backbones.require(config.backbone)
    recipe = recipe_of(config.backbone, config.weights)
    shown = _color(config, recipe, color)
    if not COLORS[shown].mirrors:
        recipe = replace(recipe, flips=False, augmentation=SPECTROGRAM)
    wanted = round(recipe.images / max(1, n_train))
    made = Plan(
        backbone=config.backbone,
        weights=config.weights,
        size=_first(config.size, recipe.size),
        color=shown,
        epochs=_first(config.epochs, min(MOST_EPOCHS, max(FEWEST_EPOCHS, wanted))),
        head_epochs=_first(config.head_epochs, recipe.head_epochs),
        batch=_first(config.batch, recipe.batch),
        optimizer=recipe.optimizer if config.optimizer == "auto" else config.optimizer,
        lr=_first(config.lr, recipe.lr),
        depth_decay=_first(config.depth_decay, recipe.depth_decay),
        weight_decay=_first(config.weight_decay, recipe.weight_decay),
        dropout=_first(config.dropout, recipe.dropout),
        augmentation=recipe.augmentation if config.augmentation == "auto" else config.augmentation,
        strength=config.strength,
        solve_head=recipe.solve_head and config.mode == "full",
        objective=config.objective,
        average=config.average,
        patience=config.patience,
        precision=config.precision,
        device=config.device,
        threads=_first(
            config.threads, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        ),
        seed=config.seed,
        mode=config.mode,
        tuning=config.tuning,
        teacher=config.teacher if config.teacher_share else "",
        teacher_share=config.teacher_share if config.teacher else 0.0,
        flips=recipe.flips and config.mode != "head" if config.flips is None else config.flips,
        normalise=config.normalise,
    )
    _check(made)
    return made


def recipe_of(backbone: str, weights: str) -> Recipe:
    """The recipe of a backbone: from scratch without pretrained ``weights``, which takes longer and larger steps."""
    recipe = next((r for prefix, r in RECIPES if backbone.startswith(prefix)), DEFAULT)
    if weights != "none" and not backbones.is_blank(backbone):
        return recipe
    if recipe.scratch is not None:
        return recipe.scratch
    if backbone == "tiny":
        return recipe
    return replace(recipe, depth_decay=1.0, head_epochs=0, lr=2 * recipe.lr, images=2 * recipe.images)


def _color(config: TrainingConfig, recipe: Recipe, found: str) -> str:
    """What the network is shown of samples that are ``found`` to be gray, rgb or sound."""
    asked = (recipe.color or found) if config.color == "auto" else config.color
    check("training.color", asked)
    if COLORS[asked].modality == COLORS[found].modality:
        return asked
    if config.color == "auto":
        return found
    raise ConfigError(
        f"training.color is {asked}, but the samples are {found}.", hint="Leave it out: --set training.color=auto"
    )


def _first(chosen: Number | None, otherwise: Number) -> Number:
    return otherwise if chosen is None else chosen


def _check(plan: Plan) -> None:
    if plan.flips and plan.mode == "head":
        raise ConfigError(
            "training.flips needs training.mode = full: the cached features are those of the image alone.",
            hint="Leave it out, or pass --set training.mode=full",
        )
    if plan.augmentation not in ("none", *AUGMENTATIONS.names()):
        raise UnknownName("augmentation", plan.augmentation, ("none", *AUGMENTATIONS.names()))
    if COLORS[plan.color].wide > 1 and plan.backbone.startswith(SQUARE):
        raise ConfigError(
            f"{plan.backbone} takes square pictures only, and a spectrogram is not.",
            hint="Choose another one: --set training.backbone=voice16",
        )
    if plan.flips and not COLORS[plan.color].mirrors:
        raise ConfigError("training.flips is for images: mirrored, a sound runs backwards.", hint="Leave it out.")
    require_speakers(plan.normalise, COLORS[plan.color], f"{plan.color} samples")
    if plan.augmentation in AUGMENTATIONS.builtins and COLORS[plan.color].mirrors == (plan.augmentation == SPECTROGRAM):
        raise ConfigError(
            f"training.augmentation is {plan.augmentation}, which is not made for {plan.color} samples.",
            hint="Leave it out: --set training.augmentation=auto",
        )
    for name in (*RANGES, *WORDS):
        section, _, key = name.partition(".")
        if section == "training" and hasattr(plan, key):
            check(name, getattr(plan, key))
