"""FER+ with the real trainer in every round, at 48 pixels and with 4,000 images to ask about.

Either the built-in network from random weights, ten epochs in every round, or that of `face48` from what it learned on
the faces without labels (:mod:`benchmarks.campaigns.ferplus`), five epochs; few, so that a campaign takes some minutes
of CPU. The images are a random part of FER+ train; 1,500 images of FER+ valid judge by the official majority.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.campaigns.ferplus import WEIGHTS
from emolab.active_learning.simulation.records import CampaignData, Terms
from emolab.active_learning.simulation.simulate import Stage
from emolab.active_learning.simulation.vote_costs import Votes
from emolab.config import TrainingConfig
from emolab.datasets import voted_dataset
from emolab.datasets.benchmark_set import evaluation_set
from emolab.files import write_bytes
from emolab.loop.label.simulation.fine_tuning import Tuned
from emolab.modalities.preparing import Preprocessing, decode_many
from emolab.taxonomy import PRESETS
from emolab.training.inputs.pixel_cache import Pixels
from emolab.training.pretraining import workspace_pretraining
from emolab.training.simulation_trainer import FineTuned

CLASSES = PRESETS["ferplus8"]
POOL, JUDGES = 4000, 1500
BUDGETS = (400.0, 800.0, 1600.0, 3200.0)
#: What is added to the votes policy in the name of a folder whose campaigns start from weights learned without labels.
PRETRAINED = " from its own faces"
#: Peak rate from such weights, as `emolab train` has it.
RATE = workspace_pretraining.RATES["face48"]


def prepare(root: Path, folder: Path, pretrained: Path) -> None:
    """Read FER+ below ``root`` and keep arrays and the weights ``pretrained`` in ``folder``, unless they are there."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / WEIGHTS).is_file():
        write_bytes(folder / WEIGHTS, pretrained.read_bytes())
    if (folder / "samples.json").is_file():
        return
    pool = voted_dataset.read(f"ferplus:{root / 'data' / 'ferplus_train.zip'}", CLASSES)
    judge = evaluation_set(f"ferplus:{root / 'data' / 'ferplus_valid.zip'}", CLASSES)
    rng = np.random.default_rng(0)
    asked, judges = rng.permutation(len(pool.ids))[:POOL], rng.permutation(judge.n)[:JUDGES]
    media = [*(pool.media[row] for row in asked), *(judge.media[row] for row in judges)]
    unit = voted_dataset.units(media)
    _, first, which = np.unique(unit[:POOL], return_index=True, return_inverse=True)
    for name, array in {
        "pixels": decode_many(media, Preprocessing(48, "gray")),
        "votes": pool.votes[asked],
        "skips": pool.skips[asked],
        "excluded": np.isin(unit[:POOL], unit[POOL:]),
        "duplicate": first[which],
        "truth": judge.targets[judges].astype(np.int64),
    }.items():
        np.save(folder / f"{name}.npy", np.asarray(array))
    write_bytes(folder / "samples.json", json.dumps([pool.ids[row] for row in asked]).encode())


def open_stage(folder: Path) -> Stage:
    """The stage of the votes policy that ``folder`` is named after; arrays lie above it."""
    kept = {file.stem: np.load(file, mmap_mode="r") for file in folder.parent.glob("*.npy")}
    field = CampaignData(
        samples=json.loads((folder.parent / "samples.json").read_text(encoding="utf-8")),
        classes=CLASSES,
        **{name: np.array(kept[name]) for name in ("votes", "skips", "excluded", "duplicate")},
    )
    rows = np.arange(len(kept["pixels"]), dtype=np.int64)

    votes, pretrained = folder.name.removesuffix(PRETRAINED), folder.name.endswith(PRETRAINED)

    def trainer(seed: int) -> Tuned:
        config = TrainingConfig(backbone="tiny", size=48, color="gray", epochs=10, threads=1, seed=seed)
        if pretrained:
            weights = str(folder.parent / WEIGHTS)
            config = replace(config, backbone="face48", weights=weights, epochs=5, lr=RATE, precision="bfloat16")
        images, judge = Pixels(kept["pixels"], rows[:POOL]), Pixels(kept["pixels"], rows[POOL:])
        learner = FineTuned(images=images, judge=judge, classes=CLASSES, config=config, color="gray")
        return Tuned(learner, np.array(kept["truth"]))

    return Stage(field, Terms(budgets=BUDGETS, votes=Votes.parse(votes), aggregator="majority"), trainer)
