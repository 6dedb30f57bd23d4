"""RAVDESS speech: clips of fifteen actors to ask about, those of five others judge; labels are what was intended.

Features are computed and not learned, so nothing has heard the judges or their labels: over the frames of a clip with
voice, mean, deviation and quantiles of log-mel bands, MFCC, centroid, rolloff, flux, loudness and zero crossings, and
how much they change; each to the mean and deviation of the pool, on 128 principal components of it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emolab.active_learning.simulation.frozen_trainer import Frozen, principal
from emolab.active_learning.simulation.journal import Journal
from emolab.active_learning.simulation.records import CampaignData, Terms
from emolab.active_learning.simulation.simulate import Stage
from emolab.active_learning.simulation.vote_costs import Votes
from emolab.datasets import voted_dataset

CLASSES = ("neutral", "calm", "happiness", "sadness", "anger", "fear", "disgust", "surprise")
FOLDS, JUDGES = 4, 5
BUDGETS = (40.0, 60.0, 90.0, 130.0, 190.0, 280.0, 420.0)
COMPONENTS = 128


def prepare(archive: Path, folder: Path) -> Path:
    """The features of every clip and a folder for each fold, in ``folder``."""
    file = folder / "features.npz"
    folder.mkdir(parents=True, exist_ok=True)
    if not file.is_file():
        crowd = voted_dataset.read(f"ravdess:{archive}", CLASSES)
        actors = np.array([int(str(group).rpartition("_")[2]) for group in crowd.groups])
        made = np.stack([clip_features(item) for item in crowd.media])
        np.savez(file, features=made, truth=crowd.votes.argmax(axis=1), actors=actors)
    for fold in range(FOLDS):
        Journal(folder / f"fold{fold}").begin({"data": "ravdess", "fold": fold})
    return folder


def clip_features(media: bytes | Path) -> NDArray[np.float32]:
    """What is measured of one clip, as one row."""
    from emolab.modalities.audio.features import describe
    from emolab.modalities.audio.reading.sound import load

    found = describe(load(media).samples, 16_000)
    loud = found.rms >= found.rms.max() * 10 ** (-35 / 20)
    rows = [found.log_mel - found.log_mel.max(), found.mfcc[1:]]
    rows += [np.atleast_2d(np.log(each + 1e-6)) for each in (found.centroid, found.rolloff)]
    rows.append(np.atleast_2d(found.flux))
    rows += [np.atleast_2d(20 * np.log10(found.rms / found.rms.max() + 1e-6)), np.atleast_2d(found.crossings)]
    parts = []
    for row in rows:
        heard = row[:, loud]
        moved = np.abs(np.diff(heard, axis=1))
        parts += [heard.mean(axis=1), heard.std(axis=1), moved.mean(axis=1)]
        parts += list(np.quantile(heard, (0.1, 0.9), axis=1))
    return np.concatenate([*parts, [np.log(loud.sum()), loud.mean()]]).astype(np.float32)


def open_stage(folder: Path) -> Stage:
    """The stage of the fold that ``folder`` is named after; the same in every process."""
    fold = int(folder.name.removeprefix("fold"))
    kept = np.load(folder.parent / "features.npz")
    features, truth, actors = kept["features"], kept["truth"].astype(np.int64), kept["actors"]
    held = (actors - 1) // JUDGES == fold
    pool, judge = np.flatnonzero(~held), np.flatnonzero(held)
    mean, scale = features[pool].mean(axis=0), features[pool].std(axis=0) + 1e-6
    mine, theirs = principal((features[pool] - mean) / scale, (features[judge] - mean) / scale, COMPONENTS)
    field = CampaignData(
        samples=[f"{row:04d}" for row in pool.tolist()],
        classes=CLASSES,
        votes=np.eye(len(CLASSES), dtype=np.int64)[truth[pool]],
        skips=np.zeros(len(pool), dtype=np.int64),
    )
    return Stage(
        field,
        Terms(budgets=BUDGETS, votes=Votes.parse("1"), aggregator="majority"),
        lambda seed: Frozen(mine, theirs, truth[judge], CLASSES, seed=seed),
    )
