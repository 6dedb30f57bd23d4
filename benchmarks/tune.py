"""What `emolab tune` buys: small networks on a few hundred faces, judged on 2,000 others that no search has seen.

FER+ training faces with ten votes each; the network is `tiny` at 32 pixels, from scratch. Each seed draws other faces,
searches among the same number of combinations, then trains twice by `emolab train`: with the settings as they are, and
with what the search found, whether it proved better or not. Both are judged on validation faces of FER+. The last row
is what matters most: how far the gain that the search announced, on its fresh folds, lies from the one that came.
Needs the test data pack (EMOLAB_TEST_DATA or ../shared).
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import emolab
from benchmarks.harness import Result, main, measured, summary
from emolab.catalog import samples, votes
from emolab.datasets import voted_dataset
from emolab.records import Sample, Vote
from emolab.workspace import Workspace

CLASSES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear")
#: Faces to learn from and to judge by, combinations, seeds.
LEARN, JUDGE, TRIALS, SEEDS = 400, 2_000, 6, 3
QUICK_LEARN, QUICK_JUDGE, QUICK_TRIALS = 200, 100, 2
SETTINGS = {
    "training.backbone": "tiny", "training.weights": "none", "training.size": 32, "training.threads": 1,
    "training.precision": "float32", "training.tensorboard": False,
}  # fmt: skip


def run(quick: bool) -> list[Result]:
    """Both sides on the same faces, by seed; the quick form has one seed, few faces and two epochs."""
    learn, judge, trials = (QUICK_LEARN, QUICK_JUDGE, QUICK_TRIALS) if quick else (LEARN, JUDGE, TRIALS)
    settings = {**SETTINGS, **({"training.epochs": 2} if quick else {})}
    found = []
    for seed in range(1 if quick else SEEDS):
        with tempfile.TemporaryDirectory() as folder:
            found.append(one(Path(folder) / "faces", seed, learn, judge, trials, settings))
    data = f"tiny from scratch, {learn} FER+ faces; judged on {judge:,} others"
    rows = []
    for name, key, unit in (
        ("macro-F1, settings as they are", "old_f1", "%"), ("macro-F1, settings found", "new_f1", "%"),
        ("macro-F1, gain", "gain_f1", "points"), ("log loss, change", "change_nll", "nats"),
        ("log loss, change announced minus change that came", "off_nll", "nats"), ("CPU time of a search", "cpu", "s"),
    ):  # fmt: skip
        middle, ends = summary([each[key] for each in found])
        rows.append(Result(name, middle, unit, n=judge, seeds=len(found), spread=ends, note=data))
    return rows


def headline(results: Sequence[Result]) -> Mapping[str, object]:
    """The figures that a script asks for, by their keys."""
    return {"gain_macro_f1_points": results[2].value, "announced_minus_real_nll": results[4].value}


def one(root: Path, seed: int, learn: int, judge: int, trials: int, settings: Mapping[str, Any]) -> dict[str, float]:
    """Search, train with and without what was found, and judge both."""
    workspace = made(root, seed, learn, judge).with_settings({**settings, "training.seed": seed})
    with measured() as timing:
        tuned = emolab.tune(workspace, minutes=600, trials=trials)
    announced = tuned.fresh.get("log_loss", {}).get("difference", 0.0)
    old, new = (valid_of(workspace.with_settings(extra)) for extra in ({}, tuned.settings))
    change = new["nll"] - old["nll"]
    return {
        "old_f1": 100 * old["macro_f1"], "new_f1": 100 * new["macro_f1"],
        "gain_f1": 100 * (new["macro_f1"] - old["macro_f1"]), "change_nll": change, "off_nll": announced - change,
        "cpu": timing.cpu_s,
    }  # fmt: skip


def valid_of(workspace: Workspace) -> Mapping[str, float]:
    """Figures of a model trained by the settings of ``workspace``, on its validation faces."""
    found: Mapping[str, float] = emolab.train(workspace).checkpoint.metrics["valid"]
    return found


def made(root: Path, seed: int, learn: int, judge: int) -> Workspace:
    """A workspace with ``learn`` faces of the training set, drawn by ``seed``, and the first ``judge`` to validate."""
    place = Path(os.environ.get("EMOLAB_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared") / "data"
    if not (place / "ferplus_train.zip").is_file():
        sys.exit(f"The test data pack is not at {place.parent}; set EMOLAB_TEST_DATA.")
    workspace = Workspace.init(root, classes=CLASSES)
    workspace.media.mkdir(parents=True, exist_ok=True)
    known: set[str] = set()
    for split, n in (("train", learn), ("valid", judge)):
        crowd = voted_dataset.read(f"ferplus:{place / f'ferplus_{split}.zip'}", CLASSES)
        order = np.random.default_rng(seed).permutation(len(crowd.ids)).tolist()
        chosen = [i for i in (order if split == "train" else sorted(order)) if crowd.ids[i] not in known][:n]
        known.update(crowd.ids[i] for i in chosen)  # a few faces are in both parts of FER+
        found, cast = [], []
        for i in chosen:
            media = crowd.media[i]
            file = workspace.media / f"{crowd.ids[i]}.png"
            file.write_bytes(media if isinstance(media, bytes) else media.read_bytes())
            path = file.relative_to(workspace.root).as_posix()
            found.append(Sample(id=crowd.ids[i], media=path, source=split, split=split))
            cast += [
                Vote(
                    sample_id=crowd.ids[i],
                    annotator="crowd",
                    label=name,
                    count=int(people),
                    origin=f"{split}:{i}:{name}",
                )
                for name, people in zip(CLASSES, crowd.votes[i].tolist(), strict=True)
                if people > 0
            ]
        with workspace.catalog() as catalog, catalog.begin() as tx:
            samples.add(tx, found)
            votes.append(tx, cast, kind="dataset")
    return workspace


if __name__ == "__main__":
    main(run, headline=headline)
