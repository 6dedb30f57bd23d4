"""FER+: images of the training set to ask about with their ten votes each, frozen MobileNetV2 features (ImageNet).

About 4,000 of the training images, copies kept together, are not asked about: their official majority chooses the
policy that is reported. FER+ valid by its official majority reports and chooses nothing. Near copies of judged images
are never asked about.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emolab.active_learning.asking import Votes
from emolab.active_learning.field import Field, Terms
from emolab.active_learning.frozen import Frozen, judged, principal
from emolab.active_learning.simulate import Stage
from emolab.config import TrainingConfig
from emolab.datasets import crowd
from emolab.datasets.evaluation import evaluation_set
from emolab.progress import SILENT, Progress
from emolab.taxonomy import PRESETS
from emolab.training import cache as pixel_cache
from emolab.training import simulated
from emolab.training.decode import Preprocessing
from emolab.workspace import write_bytes

CLASSES = PRESETS["ferplus8"]
#: Principal components; images that choose; and how many images of each set the quick run looks at.
WIDTH, CHOOSERS, FEW = 128, 4000, 1200
BUDGETS = (500.0, 1000.0, 2000.0, 4000.0, 8000.0, 16000.0)


def prepare(root: Path, folder: Path, *, quick: bool, progress: Progress = SILENT) -> None:
    """Read FER+ below ``root`` (the test data pack) and keep arrays in ``folder``, unless they are there."""
    if (folder / "ferplus.json").is_file():
        return
    folder.mkdir(parents=True, exist_ok=True)
    pool = crowd.read(f"ferplus:{root / 'data' / 'ferplus_train.zip'}", CLASSES)
    chooser = evaluation_set(f"ferplus:{root / 'data' / 'ferplus_train.zip'}", CLASSES)
    judge = evaluation_set(f"ferplus:{root / 'data' / 'ferplus_valid.zip'}", CLASSES)
    place = {name: row for row, name in enumerate(pool.ids)}
    unit = crowd.units([*pool.media, *judge.media])
    mine, judged = unit[: len(pool.ids)], unit[len(pool.ids) :]
    rank = np.random.default_rng(0).permutation(int(unit.max()) - int(unit.min()) + 1)[mine - int(unit.min())]
    rows = np.array([place[crowd.digest(item)] for item in chooser.media])
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
    ids = [crowd.digest(item) for item in media]
    config = TrainingConfig(
        backbone="mobilenet_v2", weights=str(root / "weights" / "mobilenet_v2_imagenet.safetensors"),
        size=32 if quick else 96, color="gray", threads=1,
    )  # fmt: skip
    wanted = Preprocessing(config.size or 96, "gray")
    images = pixel_cache.fill(folder, ids, dict(zip(ids, media, strict=True)).__getitem__, wanted, progress=progress)
    found = simulated.features(folder, ids, images, config, color="gray", progress=progress)
    mine_features, others = principal(found[: len(asked)], found[len(asked) :], WIDTH)
    _, first, which = np.unique(mine[asked], return_index=True, return_inverse=True)
    arrays = {
        "votes": pool.votes[asked],
        "skips": pool.skips[asked],
        "excluded": np.isin(mine[asked], judged),
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


def open_stage(folder: Path) -> Stage:
    """The stage of the policy that ``folder`` is named after (``3``, ``1..5``, ``1 by soft``); arrays lie above it."""
    arrays, said = _kept(folder.parent)
    field = Field(
        samples=said["samples"],
        classes=CLASSES,
        votes=arrays["votes"],
        skips=arrays["skips"],
        excluded=arrays["excluded"],
        duplicate=arrays["duplicate"],
    )
    budgets = (100.0, 200.0, 400.0, 800.0) if said["quick"] else BUDGETS
    votes, _, labels = folder.name.partition(" by ")
    terms = Terms(budgets=budgets, votes=Votes.parse(votes), aggregator=labels or "majority")
    return Stage(field, terms, lambda seed: TwoJudges(arrays, seed))


@cache
def _kept(folder: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    said = json.loads((folder / "ferplus.json").read_text(encoding="utf-8"))
    return {file.stem: np.load(file) for file in folder.glob("*.npy")}, said


class TwoJudges(Frozen):
    """The frozen head, judged by FER+ valid and, under ``choose_*``, by the training images that are held back."""

    def __init__(self, arrays: dict[str, NDArray[Any]], seed: int) -> None:
        judge = np.concatenate([arrays["judge"], arrays["chooser"]])
        super().__init__(arrays["pool"], judge, arrays["truth"], CLASSES, seed=seed)
        self.other = arrays["chooser_truth"]

    def scores(self, probs: NDArray[np.floating[Any]]) -> dict[str, float]:
        """What both judges say."""
        n = len(self.truth)
        other = judged(probs[n:], self.other, CLASSES)
        mine = super().scores(probs[:n])
        return mine | {f"choose_{name}": other[name] for name in ("accuracy", "macro_f1")}
