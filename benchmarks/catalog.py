"""The catalog at scale: insert, status, aggregate and next-pool times with three votes per sample, and how they grow.

Made-up samples and votes (20 annotators, right in 70 % of the answers) on SQLite. The full run goes to 1,000,000
samples; the exponent says how time grows with size (1 = linear).
"""

from __future__ import annotations

import hashlib
import math
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.harness import Result, main, measured, peak_memory_mb
from emolab.catalog import pool_columns, samples, tallies, votes
from emolab.labeling.labels.aggregate import aggregate
from emolab.loop.operate.status import status
from emolab.records import Sample, Vote
from emolab.taxonomy import PRESETS
from emolab.workspace import Workspace

CLASSES = PRESETS["ferplus8"]
BATCH = 10_000


def made_up_samples(start: int, stop: int) -> Iterator[Sample]:
    """Samples number ``start`` to ``stop``, ten per person."""
    for i in range(start, stop):
        name = hashlib.sha256(str(i).encode()).hexdigest()
        yield Sample(
            id=name,
            media=f"media/{name[:2]}/{name}.png",
            width=48,
            height=48,
            group=f"person{i // 10}",
            quality={"blur": 0.5, "brightness": 0.4},
        )


def made_up_votes(start: int, stop: int, rng: np.random.Generator) -> Iterator[Vote]:
    """Three votes for each of the same samples."""
    truth = rng.integers(len(CLASSES), size=stop - start)
    answers = np.where(
        rng.random((stop - start, 3)) < 0.7, truth[:, None], rng.integers(len(CLASSES), size=(stop - start, 3))
    )
    people = rng.integers(20, size=stop - start)
    for i in range(start, stop):
        name = hashlib.sha256(str(i).encode()).hexdigest()
        for j in range(3):
            yield Vote(
                sample_id=name,
                annotator=f"ann-{(people[i - start] + j) % 20:02d}",
                label=CLASSES[answers[i - start, j]],
                origin=f"studio:bench:1:{3 * i + j}",
                lead_time=2.5,
                round=1,
            )


def measure(n: int, folder: Path) -> dict[str, float]:
    """CPU seconds of each step on a fresh workspace of ``n`` samples with three votes each."""
    workspace = Workspace.init(folder / f"n{n}", classes=CLASSES)
    rng = np.random.default_rng(0)
    taken: dict[str, float] = {}
    with workspace.catalog() as catalog:
        with measured() as timing:
            for start in range(0, n, BATCH):
                with catalog.begin() as tx:
                    samples.add(tx, made_up_samples(start, min(n, start + BATCH)))
        taken["insert samples"] = timing.cpu_s
        with measured() as timing:
            for start in range(0, n, BATCH):
                with catalog.begin() as tx:
                    votes.append(tx, made_up_votes(start, min(n, start + BATCH), rng))
        taken["insert votes"] = timing.cpu_s
        with measured() as timing, catalog.connect() as conn:
            pool = pool_columns.read(conn)
        assert len(pool.ids) == n
        taken["next pool"] = timing.cpu_s
        with measured() as timing, catalog.connect() as conn:
            pool_columns.read(conn, workspace.config.labeling.bar)
        taken["next pool, with the bar of the settings"] = timing.cpu_s
        with measured() as timing:
            aggregate(workspace)
        taken["aggregate"] = timing.cpu_s
        with measured() as timing, catalog.connect() as conn:
            samples.count(conn), tallies.count(conn)
        taken["count"] = timing.cpu_s
    with measured() as timing:
        status(workspace)
    taken["status"] = timing.cpu_s
    with measured() as timing:
        checked = status(workspace, check=True)
    assert checked.healthy, (checked.problems, checked.miscounts)
    taken["status --check"] = timing.cpu_s
    taken["size of the file (MB)"] = sum(f.stat().st_size for f in workspace.state.glob("catalog.db*")) / 1e6
    return taken


def run(quick: bool) -> list[Result]:
    """Measure two or three sizes and the exponent between the first and the last."""
    sizes = [5_000, 20_000] if quick else [10_000, 100_000, 1_000_000]
    results: list[Result] = []
    with tempfile.TemporaryDirectory() as folder:
        taken = {n: measure(n, Path(folder)) for n in sizes}
    first, last = sizes[0], sizes[-1]
    for name in taken[last]:
        unit = "MB" if "MB" in name else "CPU s"
        results.extend(Result(name=name, value=taken[n][name], unit=unit, n=n) for n in sizes)
        growth = math.log(max(taken[last][name], 1e-3) / max(taken[first][name], 1e-3)) / math.log(last / first)
        results.append(Result(name=f"{name}: exponent", value=growth, unit="", note=f"{first:,} to {last:,} samples"))
    results.append(Result(name="peak memory", value=peak_memory_mb(), unit="MiB", n=last))
    return results


if __name__ == "__main__":
    main(run)
