"""FER+: images of the training set to ask about with their ten votes each, and frozen features that saw no such vote.

Either MobileNetV2's (ImageNet weights), or those of a network that `emolab.training.pretraining.pretrain` taught on the
images to ask about alone, without any label. About 4,000 of the training images, copies kept together, are not asked
about: their official majority chooses the policy that is reported. FER+ valid by its official majority reports and
chooses nothing. Near copies of judged images are never asked about.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import save_file

from emolab.active_learning.simulation.frozen_trainer import Frozen, judged, principal
from emolab.active_learning.simulation.records import CampaignData, SimulatedModel, Terms
from emolab.active_learning.simulation.simulate import Stage
from emolab.active_learning.simulation.vote_costs import Votes
from emolab.config import TrainingConfig
from emolab.datasets import voted_dataset
from emolab.datasets.benchmark_set import evaluation_set
from emolab.files import write_bytes
from emolab.modalities.preparing import Preprocessing
from emolab.progress import SILENT, Progress
from emolab.stats import metrics
from emolab.taxonomy import PRESETS
from emolab.training import simulation_trainer
from emolab.training.inputs import pixel_cache
from emolab.training.inputs.pixel_cache import Pixels
from emolab.training.pretraining import workspace_pretraining
from emolab.training.pretraining.pretrain import pretrain
from emolab.training.runs.objective import log_prior

CLASSES = PRESETS["ferplus8"]
#: Principal components; images that choose; and how many images of each set the quick run looks at.
WIDTH, CHOOSERS, FEW = 128, 4000, 1200
BUDGETS = (500.0, 1000.0, 2000.0, 4000.0, 8000.0, 16000.0)
#: Where faces may get more than one vote; with one each the pool is used up before.
FURTHER = 30000.0
#: How far the head is tilted towards rare classes for the macro-F1 of a team that wants that (1: `balanced`).
STRENGTHS = (0.2, 0.4, 0.6, 0.8, 1.0)
#: The file of the weights that were learned without labels.
WEIGHTS = "pretrained.safetensors"


def prepare(root: Path, folder: Path, *, quick: bool, alone: bool = False, progress: Progress = SILENT) -> None:
    """Read FER+ below ``root`` (the test data pack) and keep arrays in ``folder``, unless they are there.

    ``alone``: features come from a network that learned from the images alone, else from ImageNet.
    """
    if (folder / "ferplus.json").is_file():
        return
    folder.mkdir(parents=True, exist_ok=True)
    pool = voted_dataset.read(f"ferplus:{root / 'data' / 'ferplus_train.zip'}", CLASSES)
    chooser = evaluation_set(f"ferplus:{root / 'data' / 'ferplus_train.zip'}", CLASSES)
    judge = evaluation_set(f"ferplus:{root / 'data' / 'ferplus_valid.zip'}", CLASSES)
    place = {name: row for row, name in enumerate(pool.ids)}
    unit = voted_dataset.units([*pool.media, *judge.media])
    mine, judged = unit[: len(pool.ids)], unit[len(pool.ids) :]
    rank = np.random.default_rng(0).permutation(int(unit.max()) - int(unit.min()) + 1)[mine - int(unit.min())]
    rows = np.array([place[voted_dataset.digest(item)] for item in chooser.media])
    held = rank < np.sort(rank[rows])[FEW // 2 if quick else CHOOSERS]
    asked = np.flatnonzero(~held)
    chosen = np.flatnonzero(held[rows])
    judges = np.arange(judge.n)
    if quick:
        asked, chosen, judges = asked[:FEW], chosen[: FEW // 4], judges[: FEW // 4]
    media = [
        *(pool.media[i] for i in asked),
        *(judge.media[i] for i in judges),
        *(chooser.media[i] for i in chosen),
    ]
    ids = [voted_dataset.digest(item) for item in media]
    free = ~np.isin(mine[asked], judged)
    config = TrainingConfig(
        backbone="mobilenet_v2", weights=str(root / "weights" / "mobilenet_v2_imagenet.safetensors"),
        size=32 if quick else 96, color="gray", threads=1,
    )  # fmt: skip
    if alone:
        config = TrainingConfig(backbone="face48", size=48, color="gray", threads=1)
    wanted = Preprocessing(config.size or 96, "gray")
    images = pixel_cache.fill(folder, ids, dict(zip(ids, media, strict=True)).__getitem__, wanted, progress=progress)
    if alone:
        _, once = np.unique(np.where(free, mine[asked], -1), return_index=True)
        own = images.only(once[free[once]])
        config = replace(config, weights=str(learn_alone(own, config, folder, progress=progress)))
    found = simulation_trainer.features(folder, ids, images, config, color="gray", progress=progress)
    mine_features, others = principal(found[: len(asked)], found[len(asked) :], WIDTH)
    _, first, which = np.unique(mine[asked], return_index=True, return_inverse=True)
    arrays = {
        "votes": pool.votes[asked],
        "skips": pool.skips[asked],
        "excluded": ~free,
        "duplicate": first[which],
        "pool": mine_features,
        "judge": others[: len(judges)],
        "chooser": others[len(judges) :],
        "truth": judge.targets[judges].astype(np.int64),
        "chooser_truth": chooser.targets[chosen].astype(np.int64),
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    said = {"samples": [pool.ids[i] for i in asked], "protocol": judge.protocol, "quick": quick}
    write_bytes(folder / "ferplus.json", json.dumps(said).encode())


def learn_alone(own: Pixels, config: TrainingConfig, folder: Path, *, progress: Progress) -> Path:
    """Weights of the backbone of ``config`` that learned from the images ``own`` without labels, kept in ``folder``."""
    kept = folder / WEIGHTS
    if not kept.is_file():
        made = workspace_pretraining.plan(config, n=len(own), color="gray")
        save_file(pretrain(own, made, folder / "pretraining", progress=progress).weights, kept)
    return kept


def open_stage(folder: Path) -> Stage:
    """The stage of the policy that ``folder`` is named after (``3``, ``1..5``, ``1 by soft``); arrays lie above it."""
    arrays, said = _kept(folder.parent)
    field = CampaignData(
        samples=said["samples"],
        classes=CLASSES,
        votes=arrays["votes"],
        skips=arrays["skips"],
        excluded=arrays["excluded"],
        duplicate=arrays["duplicate"],
    )
    votes, _, labels = folder.name.partition(" by ")
    policy = Votes.parse(votes)
    budgets: tuple[float, ...] = BUDGETS if policy.high == 1 else (*BUDGETS, FURTHER)
    if said["quick"]:
        budgets = (100.0, 200.0, 400.0, 800.0)
    terms = Terms(budgets=budgets, votes=policy, aggregator=labels or "majority")
    return Stage(field, terms, lambda seed: TwoJudges(arrays, seed))


@cache
def _kept(folder: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    said = json.loads((folder / "ferplus.json").read_text(encoding="utf-8"))
    return {file.stem: np.load(file) for file in folder.glob("*.npy")}, said


class TwoJudges(Frozen):
    """The frozen head, judged by FER+ valid and, under ``choose_*``, by the training images that are held back.

    ``macro_f1 at 0.6`` is what it reaches tilted so far towards rare classes (:mod:`emolab.training.runs.objective`).
    """

    def __init__(self, arrays: dict[str, NDArray[Any]], seed: int) -> None:
        judge = np.concatenate([arrays["judge"], arrays["chooser"]])
        super().__init__(arrays["pool"], judge, arrays["truth"], CLASSES, seed=seed)
        self.other = arrays["chooser_truth"]
        self.log_prior = np.zeros(len(CLASSES))

    def __call__(self, rows: NDArray[np.int64], targets: NDArray[np.floating[Any]]) -> SimulatedModel:
        """The head for ``rows``, and what it says about everybody."""
        self.log_prior = log_prior(targets, np.ones(targets.shape, dtype=np.bool_))
        return super().__call__(rows, targets)

    def scores(self, probs: NDArray[np.floating[Any]]) -> dict[str, float]:
        """What both judges say."""
        n = len(self.truth)
        found = super().scores(probs[:n])
        other = judged(probs[n:], self.other, CLASSES)
        found |= {f"choose_{name}": other[name] for name in ("accuracy", "macro_f1")}
        logs = np.log(np.maximum(probs, 1e-12))
        for strength in STRENGTHS:
            guess = (logs - strength * self.log_prior).argmax(axis=1)
            found[f"macro_f1 at {strength}"] = metrics.macro_f1(self.truth, guess[:n], len(CLASSES))
            found[f"choose_macro_f1 at {strength}"] = metrics.macro_f1(self.other, guess[n:], len(CLASSES))
        return found
