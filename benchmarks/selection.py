"""Choosing batches by their geometry: against scikit-activeml, against the bare matrix product, and at a million.

One BLAS thread, CPU time unless it says wall. Pools are synthetic: directions in 512 dimensions in 200 heaps, 8
classes, 100 samples labelled, sample ids in no order. *_vs_scikit_activeml is their CPU time / ours on the same
float32 array (more is better). *_vs_gemm is our CPU time / that of the product of all embeddings with a batch of
centers in float32, which distances to a batch come down to (less is better). extra_memory is the most that coreset or
badge adds to resident memory, as a share of the embeddings; the full form says it of all. That needs 12 GB of disk and
ten CPU minutes: it ends with ten million samples, of which a million stand for all, and with what such a tenth costs at
a million.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import tempfile
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from benchmarks.harness import Result, interleave, main, measured, ratio, summary
from emolab.active_learning.selection.pool import Pool
from emolab.active_learning.selection.select import select
from emolab.active_learning.selection.space import Space
from emolab.active_learning.selection.thinning import MOST, thin

D, CLASSES, HEAPS, LABELLED = 512, 8, 200, 100
PIECE = 10_000
GEOMETRIC = ("coreset", "badge", "typiclust", "maxherding", "uherding", "cluster_margin", "bait")
READERS = (*GEOMETRIC, "margin", "entropy", "least_confidence")


def run(quick: bool) -> list[Result]:
    """Return ratios and extra memory, and in the full form seconds at a million and how they grow."""
    with threadpool_limits(1), tempfile.TemporaryDirectory(prefix="emolab-benchmark-") as name:
        folder = Path(name)
        results = peers(write(folder / "small", 20_000, np.float32), 100, repeats=1 if quick else 3)
        results += products(write(folder / "middle", 50_000), 500, repeats=3 if quick else 5)
        results += memory(folder / "small", folder / "middle", ("coreset", "badge", "typiclust") if quick else READERS)
        if not quick:
            results += million(folder)
            results += tenth(folder / "1000000")
            results += ten_million(write(folder / "ten million", 10 * MOST, repeat=True))
    return results


def peers(folder: Path, batch: int, repeats: int) -> list[Result]:
    """Return how many times the CPU time of ours scikit-activeml takes, and how near to the picks the pool is."""
    from skactiveml.classifier import SklearnClassifier
    from skactiveml.pool import Badge, CoreSet, TypiClust
    from sklearn.linear_model import LogisticRegression

    pool = opened(folder)
    points = Space.over(embeddings(pool), np.arange(len(pool))).units(slice(None))
    labels = np.where(pool.labelled, np.arange(len(pool)) % CLASSES, np.nan)
    model = SklearnClassifier(LogisticRegression(max_iter=50), classes=range(CLASSES)).fit(points, labels)
    theirs: dict[str, Callable[[], object]] = {
        "coreset": lambda: CoreSet(random_state=0).query(points, labels, batch_size=batch),
        "typiclust": lambda: TypiClust(random_state=0).query(points, labels, batch_size=batch),
        "badge": lambda: Badge(random_state=0).query(points, labels, clf=model, fit_clf=False, batch_size=batch),
    }
    results, picked = [], {"random": ask(pool, "random", batch)}
    for name, peer in theirs.items():

        def ours(name: str = name) -> None:
            picked[name] = ask(pool, name, batch)

        def other(name: str = name, peer: Callable[[], object] = peer) -> None:
            picked[f"{name} of scikit-activeml"] = np.asarray(peer())

        ours()  # once for the imports
        times = {"coreset": 7 if repeats > 1 else 3, "badge": 1}.get(name, repeats)  # their badge: 1.2 GB, 15 seconds
        with warnings.catch_warnings(), threadpool_limits(1):  # their libraries too, now that they are imported
            warnings.simplefilter("ignore")
            taken = interleave({"ours": ours, "theirs": other}, times, warm_up=0)
        value, spread = ratio(taken, "theirs", "ours")
        note = f"batch {batch}; {summary(taken['theirs'])[0]:.2f} s / {summary(taken['ours'])[0]:.3f} s"
        results.append(Result(f"{name}_vs_scikit_activeml", value, "x", len(pool), times, spread, note))
    for name, rows in picked.items():
        value = nearness(pool, rows)[0]
        results.append(Result(f"nearness of {name}", value, "cosine", len(pool), note="mean, to the nearest known"))
    return results


def products(folder: Path, batch: int, repeats: int) -> list[Result]:
    """Return the CPU time of coreset and badge as multiples of that of one matrix product."""
    pool = opened(folder)
    points = np.asarray(embeddings(pool), dtype=np.float32)
    centers = np.ascontiguousarray(points[:batch].T)
    taken = interleave(
        {
            "gemm": lambda: product(points, centers),
            "coreset": lambda: ask(pool, "coreset", batch),
            "badge": lambda: ask(pool, "badge", batch),
        },
        repeats,
    )
    results = []
    for name in ("coreset", "badge"):
        value, spread = ratio(taken, name, "gemm")
        note = f"batch {batch}, memory-mapped float16; product {summary(taken['gemm'])[0]:.2f} s"
        results.append(Result(f"{name}_vs_gemm", value, "x", len(pool), repeats, spread, note))
    return results


def product(points: NDArray[np.float32], centers: NDArray[np.float32]) -> None:
    """Multiply ``points`` (n, d) by ``centers`` (d, b), in pieces so that the answer needs little memory."""
    for start in range(0, len(points), 2_048):
        points[start : start + 2_048] @ centers


def memory(small: Path, middle: Path, names: tuple[str, ...]) -> list[Result]:
    """Return what the strategies ``names`` add to resident memory, as a share of the embeddings."""
    results = []
    for folder, batch, n in ((small, 100, 20_000), (middle, 500, 50_000)):
        shares = {name: alone(name, folder, batch).extra for name in names}
        note = f"batch {batch}; {', '.join(f'{name} {share:.3f}' for name, share in shares.items())}"
        kind = "extra_memory" if folder == small else "extra memory, float16"
        results.append(Result(kind, max(shares["coreset"], shares["badge"]), "of the data", n, note=note))
    return results


def million(folder: Path) -> list[Result]:
    """Return seconds and memory at a million samples, a batch of 1,000, and how time grows with both."""
    results, batch = [], 1_000
    sizes = {n: write(folder / f"{n}", n) for n in (10_000, 100_000, 1_000_000)}
    floor = alone("product", sizes[1_000_000], batch).cpu_s
    results.append(Result("product at a million", floor, "CPU s", 1_000_000, note=f"batch {batch}"))
    for name in GEOMETRIC:
        grown = {n: alone(name, at, batch) for n, at in sizes.items()}
        top = grown[1_000_000]
        note = (
            f"{top.cpu_s / floor:.2f} of the product, wall {top.wall_s:.0f} s, resident {top.resident:.2f} of the data"
        )
        results.append(Result(f"{name} at a million", top.cpu_s, "CPU s", 1_000_000, note=note))
        batches = {100: alone(name, sizes[100_000], 100).cpu_s, batch: grown[100_000].cpu_s}
        by_n, by_b = slope({n: run.cpu_s for n, run in grown.items()}), slope(batches)
        note = f"of time in the batch 100..1,000 at 100,000: {by_b:.2f}; seconds {seconds(grown, batches)}"
        results.append(Result(f"{name}: exponent in n", by_n, "", 1_000_000, note=note))
    return results


def tenth(folder: Path) -> list[Result]:
    """Return what picks from a tenth that stands for a million lose against picks from all of it."""
    pool, batch, results = opened(folder), 1_000, []
    part = thin(pool, len(pool) // 10)
    for name in ("random", "coreset", "typiclust"):
        for kind, looked_at in (("all", pool), ("a tenth", part)):
            mean, worst = nearness(pool, ask(looked_at, name, batch))
            note = f"batch {batch}; the worst of 20,000 samples: {worst:.3f}"
            results.append(Result(f"nearness of {name}, {kind}", mean, "cosine", len(pool), note=note))
    return results


def ten_million(folder: Path) -> list[Result]:
    """Return seconds of coreset on ten million samples, the part that stands for them being found first."""
    cost = alone("coreset", folder, 1_000)
    note = f"a million stand for all, batch 1,000; wall {cost.wall_s:.0f} s, resident {cost.resident:.2f} of the data"
    return [Result("coreset at ten million", cost.cpu_s, "CPU s", 10 * MOST, note=note)]


def seconds(grown: dict[int, Alone], batches: dict[int, float]) -> str:
    """The measurements behind the exponents, in words."""
    by_n = ", ".join(f"{run.cpu_s:.2f} at {n:,}" for n, run in grown.items())
    return f"{by_n}; {', '.join(f'{cpu_s:.2f} for {batch:,}' for batch, cpu_s in batches.items())}"


def slope(times: dict[int, float]) -> float:
    """The exponent of growth: the slope of a line through the logarithms."""
    return float(np.polyfit(np.log(list(times)), np.log(list(times.values())), 1)[0])


@dataclass(frozen=True)
class Alone:
    """What one choice cost in a process of its own: seconds, and memory as shares of the embeddings."""

    cpu_s: float
    wall_s: float
    extra: float
    resident: float


def alone(name: str, folder: Path, batch: int) -> Alone:
    """Run strategy ``name`` (or ``product``) on the pool in ``folder`` in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as child:
        return child.submit(_alone, name, folder, batch).result()


def _alone(name: str, folder: Path, batch: int) -> Alone:
    with threadpool_limits(1):
        pool = opened(folder)
        points = embeddings(pool)
        data = points.size * points.itemsize
        if name == "product":
            centers = np.ascontiguousarray(points[:batch].T, dtype=np.float32)
            part = points[: min(100_000, len(points))].astype(np.float32)
            with measured() as timing:
                product(part, centers)
            scale = len(points) / len(part)
            return Alone(timing.cpu_s * scale, timing.wall_s * scale, 0.0, 0.0)
        ask(opened(folder, 5_000), name, batch)  # what is imported and what BLAS sets aside once
        pool.candidates, pool.known  # noqa: B018  the pool's own, and kept by it
        for start in range(0, len(points) if len(points) <= MOST else 0, PIECE):
            points[start : start + PIECE].max()  # maps the file
        np.max(np.asarray(pool.probs))
        ctypes.CDLL(None).malloc_trim(0)  # and nothing of what is free again
        before = resident()
        Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
        with measured() as timing:
            ask(pool, name, batch)
        peak = resident("VmHWM")
    return Alone(timing.cpu_s, timing.wall_s, (peak - before) / data, peak / data)


def resident(field: str = "VmRSS") -> int:
    """Bytes of this process in memory now, or at the peak (``VmHWM``); the system must be Linux."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(field))


def ask(pool: Pool, strategy: str, batch: int) -> NDArray[np.int64]:
    """The rows ``strategy`` picks."""
    return select(pool, batch, strategy=strategy, rng=np.random.default_rng(0)).rows


def nearness(pool: Pool, rows: NDArray[np.int64]) -> tuple[float, float]:
    """The mean and the least, over 20,000 samples, of the cosine to the nearest labelled or picked one."""
    known = Space.over(embeddings(pool), np.concatenate([np.flatnonzero(pool.labelled), rows])).units(slice(None))
    space = Space.over(embeddings(pool), np.arange(0, len(pool), max(1, len(pool) // 20_000)))
    nearest = np.full(len(space), np.inf, dtype=np.float32)
    space.approach(nearest, known)
    return float(1 - nearest.mean() / 2), float(1 - nearest.max() / 2)


def write(folder: Path, n: int, kind: type[np.float16 | np.float32] = np.float16, *, repeat: bool = False) -> Path:
    """Make a pool of ``n`` samples in ``folder``, a piece at a time, and return ``folder``.

    ``repeat``: with the same noise in every piece, turned by some dimensions, which is quicker to make.
    """
    folder.mkdir()
    rng = np.random.default_rng(0)
    middles = rng.normal(size=(HEAPS, D)).astype(np.float32)
    head = rng.normal(size=(D, CLASSES)).astype(np.float32) / np.sqrt(D)
    noise = 0.7 * rng.standard_normal((PIECE, D), dtype=np.float32)
    with (folder / "embeddings.npy").open("wb") as points, (folder / "probs.npy").open("wb") as probs:
        for file, width, of in ((points, D, kind), (probs, CLASSES, np.float32)):
            header = {"shape": (n, width), "fortran_order": False, "descr": np.dtype(of).str}
            np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, n, PIECE):
            m = min(PIECE, n - start)
            noise = np.roll(noise, 1, axis=1) if repeat else 0.7 * rng.standard_normal((PIECE, D), dtype=np.float32)
            piece = middles[rng.integers(HEAPS, size=m)] + noise[:m]
            odds = np.exp(2 * piece @ head).astype(np.float32)
            points.write(piece.astype(kind).tobytes())
            probs.write(odds / odds.sum(axis=1, keepdims=True))
    return folder


def opened(folder: Path, n: int | None = None) -> Pool:
    """The pool in ``folder``, or its first ``n`` samples; half precision stays memory-mapped."""
    points = np.load(folder / "embeddings.npy", mmap_mode="r")[:n]
    size = len(points)
    return Pool(
        samples=[f"{i * 2_654_435_761 % 2**32:08x}" for i in range(size)],
        labelled=np.arange(size) < LABELLED,
        pending=np.zeros(size, dtype=bool),
        probs=np.load(folder / "probs.npy", mmap_mode="r")[:n],
        embeddings=points if points.dtype == np.float16 else np.array(points),
    )


def embeddings(pool: Pool) -> NDArray[np.floating]:
    """The embeddings of a pool that has some."""
    assert pool.embeddings is not None
    return pool.embeddings


if __name__ == "__main__":
    main(run)
