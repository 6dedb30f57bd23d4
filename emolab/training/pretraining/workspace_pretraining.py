"""Pretraining in a workspace: which images it learns from, where its result lies, and how a training finds it."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from safetensors.torch import save

from emolab.catalog.pool_columns import PoolColumns
from emolab.catalog.storage.engine import now
from emolab.config import TrainingConfig
from emolab.errors import ConfigError, DataError
from emolab.files import write_bytes, write_text
from emolab.modalities.preparing import Preprocessing, require_speakers
from emolab.progress import SILENT, Progress
from emolab.training.fitting import tuning
from emolab.training.inputs import pixel_cache
from emolab.training.learned import ancestry, fingerprints, learned_images
from emolab.training.learned.learned_images import Learned
from emolab.training.networks import backbones
from emolab.training.pretraining.pretrain import pretrain
from emolab.training.runs import recipes, state
from emolab.training.runs.recipes import Plan
from emolab.training.runs.runs import settings
from emolab.workspace import Workspace

#: What ``training.weights`` says to start from the result.
NAME = "pretrained"
#: Without labels there is more to take from an image: batch, peak rate and decay of the pretraining.
BATCH, RATE, DECAY = 64, 2e-3, 1e-2
#: Work of a run in images, which sets its epochs, within these bounds.
IMAGES, FEWEST_EPOCHS, MOST_EPOCHS = 150_000, 6, 60
#: Fewer images than the first are refused, fewer than the second warned about.
FEWEST, FEW = 20, 1000
#: Peak rate of a training that starts here, where the recipe is meant for weights that know emotions.
RATES = {"face48": 1e-3}


@dataclass(frozen=True, kw_only=True)
class PretrainedStart:
    """Weights learned without labels: the file ``weights``, what they were learned from and how.

    ``identity`` is a hash of settings and images; ``loss`` the share of the target's variance left, by epoch.
    """

    weights: Path
    backbone: str
    size: int
    color: str
    images: int
    loss: tuple[float, ...]
    minutes: float
    identity: str
    sha256: str
    created_at: str


def learnable(pool: PoolColumns) -> list[str]:
    """The ids of ``pool`` to learn from: copies once, and nothing that is, is a copy of or is grouped with a judge."""
    judges = np.unique(pool.duplicate[pool.judge])
    grouped = (pool.group >= 0) & np.isin(pool.group, pool.group[pool.judge])
    free = ~pool.hidden & ~pool.judge & ~np.isin(pool.duplicate, judges) & ~grouped
    return [pool.ids[row] for row in np.flatnonzero(free)]


def plan(config: TrainingConfig, *, n: int, color: str, epochs: int | None = None) -> Plan:
    """The settings of a run on ``n`` images: what ``config`` says of backbone, size and machine, the rest fixed.

    Raises :class:`DataError` for too few images, :class:`ConfigError` for a backbone that has nothing to learn.
    """
    if config.backbone in backbones.COMPUTED:
        raise ConfigError(
            f"{config.backbone} is computed, not learned: there is nothing to pretrain.",
            hint="Choose a network: --set training.backbone=face48",
        )
    if n < FEWEST:
        raise DataError(
            f"There are {n} images to learn from; at least {FEWEST} are needed, and thousands to be of use.",
            hint="Collect more with: emolab collect PATH. Images that judge (valid, test), and copies, do not count.",
        )
    require_speakers(config.normalise, None, "pretraining")
    made = recipes.plan(replace(config, weights="none", mode="full"), n_train=n, color=color)
    bounded = min(MOST_EPOCHS, max(FEWEST_EPOCHS, round(IMAGES / n)))
    return replace(
        made,
        epochs=bounded if epochs is None else epochs,
        batch=BATCH if config.batch is None else config.batch,
        lr=RATE,
        weight_decay=DECAY,
        optimizer="adamw",
        augmentation="warp",
    )


def learn(
    workspace: Workspace, ids: list[str], made: Plan, media: Callable[[str], Path], *, progress: Progress = SILENT
) -> tuple[PretrainedStart, int | None]:
    """Pretrain on the samples ``ids`` by ``made``, and the epoch it went on after; ``None`` when it was done already.

    Stopped at any instant it goes on when called again, and ends with the same weights. The result replaces an earlier
    one of the same backbone.
    """
    identity = _identity(made, ids)
    with workspace.lock("train"):
        known = _read(workspace, made.backbone)
        folder = _root(workspace) / f"run-{identity[:16]}"
        if known is not None and known.identity == identity:
            shutil.rmtree(folder, ignore_errors=True)  # of a process that was killed between the result and its end
            return known, None
        others = [place for place in _root(workspace).glob("run-*") if place != folder]
        if others:
            progress.note(
                f"Stopped pretrainings on other images or settings: {len(others)}, of use only where those come back. "
                f"To forget them: rm -r {_root(workspace)}/run-*"
            )
        place = state.newest(folder)
        done = 0 if place is None else state.peek(place).epoch
        wanted = Preprocessing(made.size, made.color).scaled
        pixels = pixel_cache.fill(workspace.cache, ids, media, wanted, progress=progress)
        found = pretrain(pixels, made, folder, progress=progress, choices=workspace.cache / tuning.FILE)
        content = save(found.weights)
        start = PretrainedStart(
            weights=_weights(workspace, made.backbone),
            backbone=made.backbone,
            size=made.size,
            color=made.color,
            images=len(ids),
            loss=tuple(row["loss"] for row in found.history),
            minutes=found.seconds / 60,
            identity=identity,
            sha256=hashlib.sha256(content).hexdigest(),
            created_at=now(),
        )
        prints = fingerprints.fill(workspace.cache, ids, media, progress=progress)
        what = f"{workspace.config.project.name}, without labels"
        record = Learned().with_images(prints, what, labelled=False)
        learned_images.write(ancestry.beside(start.weights), record)
        write_bytes(start.weights, content)
        told = {key: value for key, value in asdict(start).items() if key != "weights"}
        write_text(start.weights.with_suffix(".json"), json.dumps(told, indent=2))
        shutil.rmtree(folder)
    return start, done


def find(workspace: Workspace, backbone: str) -> PretrainedStart:
    """What was learned here for ``backbone``. Raises :class:`DataError` when there is nothing, or it is damaged."""
    found = _read(workspace, backbone)
    again = f"emolab pretrain --set training.backbone={backbone}"
    if found is None:
        raise DataError(
            f"training.weights is {NAME}, but no {backbone} was pretrained here.",
            hint=f"Run: {again}, or use other weights: --set training.weights=default",
        )
    with found.weights.open("rb") as stream:
        if hashlib.file_digest(stream, "sha256").hexdigest() != found.sha256:
            raise DataError(f"{found.weights} is not what was written.", hint=f"Make it again: rm it, then {again}")
    return found


def resolve(workspace: Workspace, config: TrainingConfig) -> tuple[TrainingConfig, PretrainedStart | None]:
    """``config`` with ``weights = pretrained`` replaced by the file it means, and what that file is.

    Size and colour come along where they are left open, and so does the rate of a recipe meant for better weights.
    """
    if config.weights != NAME:
        return config, None
    start = find(workspace, config.backbone)
    made = replace(
        config,
        weights=str(start.weights),
        size=start.size if config.size is None else config.size,
        color=start.color if config.color == "auto" else config.color,
        lr=RATES.get(config.backbone) if config.lr is None else config.lr,
    )
    return made, start


def _read(workspace: Workspace, backbone: str) -> PretrainedStart | None:
    weights = _weights(workspace, backbone)
    document = weights.with_suffix(".json")
    if not (weights.is_file() and document.is_file()):
        return None
    try:
        told = json.loads(document.read_text(encoding="utf-8"))
        return PretrainedStart(weights=weights, **{**told, "loss": tuple(told["loss"])})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(
            f"{document} cannot be read ({error}).", hint=f"To forget it: rm {document}, then run emolab pretrain"
        ) from error


def _identity(made: Plan, ids: list[str]) -> str:
    digest = hashlib.sha256(json.dumps(settings(made), sort_keys=True).encode())
    digest.update("\n".join(sorted(ids)).encode())
    return digest.hexdigest()


def _root(workspace: Workspace) -> Path:
    return workspace.state / NAME


def _weights(workspace: Workspace, backbone: str) -> Path:
    plain = "".join(letter if letter.isalnum() else "_" for letter in backbone)
    return _root(workspace) / f"{NAME}-{plain}.safetensors"
