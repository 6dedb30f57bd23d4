"""The app at scale: each kind of filter of the wall, with its pages and its count, the models, and the team.

Made-up samples of five sources, with splits, near copies, quality, three votes on nine in ten, labels, rounds, and two
models' predictions of all of them, on SQLite. The full run has 1,000,000. A search that takes its time answers in
parts; the slowest part is told. The app counts the team in a process of its own, so its memory is told apart.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.catalog import BATCH, CLASSES, made_up_samples, made_up_votes
from benchmarks.harness import Result, main, measured, peak_memory_mb
from emolab.catalog import models, samples, votes
from emolab.catalog.campaign import rounds
from emolab.inference import prediction_store
from emolab.labeling.labels.aggregate import aggregate
from emolab.loop.look.model_view import model_view, two_models
from emolab.loop.look.team_view import team_view
from emolab.loop.look.wall import WallRequest, wall, wall_choices, wall_count
from emolab.provenance import snapshots
from emolab.records import Model, Predictions, Sample, Suggestion
from emolab.stats import metrics
from emolab.workspace import Workspace

SOURCES, SPLITS = ("collected", "photos", "ferplus", "camera"), (None, "train", "train", "train", "valid", "test")
#: Two models, and in how large parts their predictions are stored.
MODELS, PART = "12", 50_000
FILTERS = {
    "all samples": WallRequest(),
    "a class": WallRequest(label="fear"),
    "a source of ten samples": WallRequest(source="rare"),
    "a split": WallRequest(split="test"),
    "a round, as it ranked them": WallRequest(round=2, order="rank"),
    "most disagreement first": WallRequest(order="disagreement"),
    "most disagreement first, a source that is not there": WallRequest(order="disagreement", source="nowhere"),
    "near copies": WallRequest(duplicates=True),
    "any fault of quality": WallRequest(unfit="any"),
    "too small": WallRequest(unfit="too small"),
    "without a label": WallRequest(label="none"),
    "a class in a split": WallRequest(label="fear", split="test"),
    "a class in a source where it is not": WallRequest(label="fear", source="rare"),
    "labelled and without votes, of which there is none": WallRequest(label="fear", answered=False),
}


def name(number: int) -> str:
    """The id of made-up sample ``number``."""
    return hashlib.sha256(str(number).encode()).hexdigest()


def varied(start: int, stop: int) -> Iterator[Sample]:
    """Samples ``start`` to ``stop`` with everything that a wall can be filtered by."""
    rng = np.random.default_rng(start)
    for number, sample in enumerate(made_up_samples(start, stop), start):
        yield replace(
            sample,
            source="rare" if number % 100_000 == 7 else SOURCES[number % 4],
            split=SPLITS[number % 6],
            representative=name(number - 1) if number % 40 == 1 else None,
            quality={
                "blur": float(rng.random()),
                "contrast": float(0.3 * rng.random()),
                "faces": float(rng.random() > 0.03),
                "size": int(rng.integers(20, 400)),
            },
        )


def fill(workspace: Workspace, n: int) -> None:
    """Put ``n`` samples with votes, labels and three rounds into ``workspace``."""
    rng = np.random.default_rng(0)
    with workspace.catalog() as catalog:
        for start in range(0, n, BATCH):
            with catalog.begin() as tx:
                samples.add(tx, varied(start, min(n, start + BATCH)))
        voted = int(0.9 * n)
        for start in range(0, voted, BATCH):
            with catalog.begin() as tx:
                votes.append(tx, made_up_votes(start, min(voted, start + BATCH), rng))
        for number in (1, 2, 3):
            proposed = [
                Suggestion(sample_id=name(500 * number + rank), score=0.5, reason="", strategy="margin", round=number,
                           rank=rank)
                for rank in range(500)
            ]  # fmt: skip
            with catalog.begin() as tx:
                rounds.create(tx, proposed, strategy="margin", model=None, seed=0, settings={})
    aggregate(workspace)


def judge(workspace: Workspace, n: int) -> None:
    """Two models that were judged on the validation samples, a sixth of ``n``, and looked at all of them."""
    rng = np.random.default_rng(1)
    ids, k = [name(number) for number in range(n)], len(CLASSES)
    splits = [SPLITS[number % 6] or "train" for number in range(n)]
    truth = rng.integers(k, size=n)
    targets, valid = np.eye(k, dtype=np.float32)[truth], np.array(splits) == "valid"
    with workspace.catalog() as catalog, catalog.begin() as tx:
        taken = snapshots.take(workspace, tx, classes=CLASSES, ids=ids, targets=targets, splits=splits)
    for letter in MODELS:
        probs = rng.dirichlet(np.full(k, 0.3), size=n) + targets * rng.random((n, 1))
        probs = (probs / probs.sum(axis=1, keepdims=True)).astype(np.float32)
        made = Model(
            id=64 * letter, path=f".emolab/models/{letter}", classes=CLASSES, config={"backbone": "made up"},
            snapshot=taken.id, created_at=f"2026-01-0{letter}T00:00:00.000Z",
            metrics={"valid": metrics.summary(probs[valid], truth[valid], CLASSES), "n_train": int((~valid).sum())},
        )  # fmt: skip
        with workspace.catalog() as catalog, catalog.begin() as tx:
            models.add(tx, made)
        mixed = rng.permutation(n)
        for start in range(0, n, PART):
            rows = mixed[start : start + PART]
            told = [ids[row] for row in rows.tolist()]
            part = Predictions(model_id=made.id, classes=CLASSES, samples=told, probs=probs[rows],
                               embeddings=np.zeros((len(rows), 1)))  # fmt: skip
            prediction_store.append(workspace.predictions_folder / made.id, part)


def slowest_parts(workspace: Workspace, request: WallRequest) -> tuple[float, float]:
    """CPU seconds of the slowest answer on the way to the first samples, and of the slowest part of the count."""
    page, after = 0.0, None
    while True:
        with measured() as timing:
            found = wall(workspace, request, after=after)
        page, after = max(page, timing.cpu_s), found.next
        if found.samples or after is None:
            break
    count, after = 0.0, None
    while True:
        with measured() as timing:
            told = wall_count(workspace, request, after=after)
        count, after = max(count, timing.cpu_s), told.next
        if after is None:
            return page, count


def look(folder: Path, n: int) -> list[Result]:
    """Measure each filter on the workspace in ``folder``; run in a process of its own, so that its memory is that of
    looking alone."""
    workspace = Workspace.open(folder)
    wall(workspace, WallRequest())  # what is imported is imported
    with measured() as timing:
        wall_choices(workspace)
    found = [Result(name="what can be chosen from", value=timing.cpu_s, unit="CPU s", n=n)]
    for what, request in FILTERS.items():
        page, count = slowest_parts(workspace, request)
        found += [
            Result(name=f"{what}: a page", value=page, unit="CPU s", n=n),
            Result(name=f"{what}: a part of the count", value=count, unit="CPU s", n=n),
        ]
    one, other = (64 * letter for letter in MODELS)
    with measured() as timing:
        model_view(workspace, one)
    found.append(Result(name="a model", value=timing.cpu_s, unit="CPU s", n=n))
    with measured() as timing:
        two_models(workspace, one, other)
    found.append(Result(name="two models side by side", value=timing.cpu_s, unit="CPU s", n=n))
    return [*found, Result(name="peak memory of the above", value=peak_memory_mb(), unit="MiB", n=n)]


def team(folder: Path, n: int) -> list[Result]:
    """Count the team; run in a process of its own, as the app does."""
    with measured() as timing:
        team_view(Workspace.open(folder))
    return [
        Result(name="the team", value=timing.cpu_s, unit="CPU s", n=n),
        Result(name="the team: peak memory", value=peak_memory_mb(), unit="MiB", n=n),
    ]


_APART = """
import json, sys
from dataclasses import asdict
from pathlib import Path
from benchmarks import wall
found = getattr(wall, sys.argv[1])(Path(sys.argv[2]), int(sys.argv[3]))
print(json.dumps([asdict(each) for each in found]))
"""


def run(quick: bool) -> list[Result]:
    """Make a workspace, and look at it in a process of its own."""
    n = 12_000 if quick else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.init(Path(folder) / "faces", classes=CLASSES)
        fill(workspace, n)
        judge(workspace, n)
        return [*_apart("look", workspace, n), *_apart("team", workspace, n)]


def _apart(what: str, workspace: Workspace, n: int) -> list[Result]:
    asked = [sys.executable, "-c", _APART, what, str(workspace.root), str(n)]
    told = subprocess.run(asked, check=True, capture_output=True, text=True)
    return [Result(**each) for each in json.loads(told.stdout)]


if __name__ == "__main__":
    main(run)
