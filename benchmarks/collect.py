"""Collecting images against merely decoding and hashing them, on the same files and the same cores.

The baseline opens each file, decodes it fully with Pillow and takes the sha256 of its bytes, in as many threads as
there are cores: what nobody can avoid who wants to know that a file is whole. Collect does more for each file: it takes
metadata off, measures quality, computes a perceptual hash, stores the result durably and records it in the catalog;
it does less in one place: where the format allows it, it decodes at reduced scale, which still reads every byte.
"""

from __future__ import annotations

import hashlib
import io
import os
import statistics
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops

from benchmarks.harness import Result, main, measured, ratio, summary
from emolab.datasets.collect.collect import CollectRequest, collect
from emolab.workspace import Workspace

CORES = len(os.sched_getaffinity(0))
CHUNK = 8


def run(quick: bool) -> list[Result]:
    """Return throughput and ratio for photos, large photos and small face crops, each timed in turns."""
    repeats = 3 if quick else 7
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="emolab-benchmark-") as name:
        root = Path(name)
        for kind, n, size, suffix in (
            ("640x480 JPEG", 800 if quick else 3000, (640, 480), ".jpg"),
            ("3000x2000 JPEG", 16 if quick else 100, (3000, 2000), ".jpg"),
            ("48x48 PNG", 2000 if quick else 10000, (48, 48), ".png"),
        ):
            files = draw(root / kind.replace(" ", "-"), n, size, suffix)
            results += compared(kind, files, root, repeats)
    return results


def compared(kind: str, files: Sequence[Path], root: Path, repeats: int) -> list[Result]:
    """Return the rows about one set of files; every repeat collects into a fresh workspace."""
    walls: dict[str, list[float]] = {"decode": [], "copy": [], "collect": [], "again": []}
    cpus: dict[str, list[float]] = {name: [] for name in walls}
    for repeat in range(repeats + 1):
        workspace = Workspace.init(root / f"workspace-{kind}-{repeat}", classes=("a", "b"))
        first: dict[str, Callable[[], object]] = {
            "decode": lambda: decode_and_hash(files),
            "copy": lambda copies=root / f"copies-{kind}-{repeat}": decode_and_hash(files, copies),  # type: ignore[misc]
            "collect": lambda w=workspace: gather(w, files[0].parent),  # type: ignore[misc]
        }
        for label in [*(first if repeat % 2 else reversed(first)), "again"]:
            with measured() as timing:
                first["collect" if label == "again" else label]()
            if repeat:  # the first round warms up
                walls[label].append(timing.wall_s)
                cpus[label].append(timing.cpu_s)
    n = len(files)
    rates = {label: [n / wall for wall in taken] for label, taken in walls.items()}
    width, height = Image.open(files[0]).size
    mean_kb = statistics.mean(file.stat().st_size for file in files) / 1000
    texts = {
        "decode": ("decode + sha256 alone", f"{CORES} threads, {width}x{height}, {mean_kb:,.0f} kB each"),
        "copy": ("decode + sha256 + a copy on disk", "what storing costs, without making it durable"),
        "collect": ("collect, whole images", "strip, decode, hash, measure, store, record"),
        "again": ("collect, second run", "nothing new: the ledger knows all"),
    }
    rows = []
    for label, (text, note) in texts.items():
        middle, spread = summary(rates[label])
        rows.append(Result(f"{kind}: {text}", middle, "images/s", n=n, seeds=repeats, spread=spread, note=note))
    for base, note in (("decode", "target 0.8 or more"), ("copy", "")):
        for unit, taken in (("wall", walls), ("CPU", cpus)):
            share, spread = ratio(taken, base, "collect")
            what = f"{kind}: collect against {texts[base][0]}, {unit}"
            rows.append(Result(what, share, "x", n=n, seeds=repeats, spread=spread, note=note))
    return rows


def decode_and_hash(files: Sequence[Path], copies: Path | None = None) -> int:
    """Return how many files were decoded and hashed, and written once more into `copies` if it is given."""
    if copies is not None:
        copies.mkdir()

    def work(part: Sequence[Path]) -> int:
        for file in part:
            data = file.read_bytes()
            Image.open(io.BytesIO(data)).load()
            hashlib.sha256(data).digest()
            if copies is not None:
                (copies / file.name).write_bytes(data)
        return len(part)

    with ThreadPoolExecutor(CORES) as pool:
        return sum(pool.map(work, [files[i : i + CHUNK] for i in range(0, len(files), CHUNK)]))


def gather(workspace: Workspace, folder: Path) -> None:
    """Collect `folder` without looking for faces."""
    workspace = Workspace.open(workspace.root, overrides=("collect.faces=off",))
    with workspace.catalog() as catalog:
        done = collect(workspace, catalog, CollectRequest(paths=(str(folder),)))
    if done.report.failed:
        raise RuntimeError(f"{done.report.failed} images could not be collected")


def draw(folder: Path, n: int, size: tuple[int, int], suffix: str) -> list[Path]:
    """Return n different pictures: smooth shapes with some grain, about as large as photos of that size."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    grain = Image.fromarray(rng.normal(24, 6, (size[1], size[0])).clip(0, 255).astype(np.uint8)).convert("RGB")
    files = []
    for i in range(n):
        shapes = Image.fromarray(rng.integers(0, 230, (9, 12, 3)).astype(np.uint8))
        image = ImageChops.add(shapes.resize(size, Image.Resampling.BILINEAR), ImageChops.offset(grain, i, 2 * i))
        files.append(folder / f"{i:06}{suffix}")
        (image.convert("L") if suffix == ".png" else image).save(files[-1], quality=85)
    return files


if __name__ == "__main__":
    main(run)
