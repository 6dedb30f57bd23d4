"""The wall of samples of the app at scale: each kind of filter, its pages and its count, and what it holds in memory.

Made-up samples of five sources, with splits, near copies, quality, three votes on nine in ten, labels and rounds, on
SQLite. The full run has 1,000,000. A search that takes its time answers in parts; the slowest part is told.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.catalog import BATCH, CLASSES, made_up_samples, made_up_votes
from benchmarks.harness import Result, main, measured, peak_memory_mb
from emolab.catalog import samples, votes
from emolab.catalog.campaign import rounds
from emolab.labeling.labels.aggregate import aggregate
from emolab.loop.look.wall import WallRequest, wall, wall_choices, wall_count
from emolab.records import Sample, Suggestion
from emolab.workspace import Workspace

SOURCES, SPLITS = ("collected", "photos", "ferplus", "camera"), (None, "train", "train", "train", "valid", "test")
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
    return [*found, Result(name="peak memory", value=peak_memory_mb(), unit="MiB", n=n)]


_APART = """
import json, sys
from dataclasses import asdict
from pathlib import Path
from benchmarks.wall import look
print(json.dumps([asdict(each) for each in look(Path(sys.argv[1]), int(sys.argv[2]))]))
"""


def run(quick: bool) -> list[Result]:
    """Make a workspace, and look at it in a process of its own."""
    import json

    n = 12_000 if quick else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.init(Path(folder) / "faces", classes=CLASSES)
        fill(workspace, n)
        told = subprocess.run(
            [sys.executable, "-c", _APART, str(workspace.root), str(n)], check=True, capture_output=True, text=True
        )
    return [Result(**each) for each in json.loads(told.stdout)]


if __name__ == "__main__":
    main(run)
