"""What every benchmark shares: the command line, fair timing, and the table.

A benchmark is a module with a function `run(quick: bool) -> list[Result]` and, at its foot, `main(run)`. It
prints figures and asserts nothing about absolute times: machines differ. Ratios are measured by `interleave`,
which takes turns, so that a machine getting busy half-way slows every contestant and not only the last one.
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

__all__ = ["Result", "Timing", "interleave", "main", "measured", "peak_memory_mb", "ratio", "save", "summary"]

#: What a benchmark found, one file per benchmark; `make figures` writes the documentation's figures from them.
RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Result:
    """One row of a benchmark's table.

    value: the figure, in `unit`. n: on how many samples (tasks, runs, ...). seeds: over how many repeats or
    seeds. spread: lowest and highest of those repeats. note: data, conditions, what the row is compared with.
    """

    name: str
    value: float
    unit: str
    n: int | None = None
    seeds: int = 1
    spread: tuple[float, float] | None = None
    note: str = ""


@dataclass(slots=True)
class Timing:
    """What `measured` saw: seconds on the clock, and CPU seconds of this process and its ended children."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    started: tuple[float, float] = field(default=(0.0, 0.0), repr=False)


def cpu_seconds() -> float:
    """Return the CPU seconds (user + system) spent by this process and the children it has waited for."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def peak_memory_mb() -> float:
    """Return the largest resident memory this process has ever held, in MiB.

    Linux counts into `ru_maxrss` what the process that started this one held then, so its own peak is read there.
    """
    status = Path("/proc/self/status")
    if status.exists():
        return (
            float(next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM:"))) / 1024
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


@contextmanager
def measured() -> Iterator[Timing]:
    """Yield a `Timing` that is filled when the block ends.

    >>> with measured() as timing:
    ...     total = sum(range(1000))
    >>> timing.wall_s >= 0
    True
    """
    timing = Timing(started=(time.perf_counter(), cpu_seconds()))
    try:
        yield timing
    finally:
        timing.wall_s = time.perf_counter() - timing.started[0]
        timing.cpu_s = cpu_seconds() - timing.started[1]


def interleave(
    contestants: Mapping[str, Callable[[], object]], repeats: int, *, warm_up: int = 1
) -> dict[str, list[float]]:
    """Return the CPU seconds of each contestant, one figure per repeat, taken in turns.

    Each repeat calls every contestant once, in an order that is reversed every other time, after `warm_up`
    unmeasured rounds. Children that a contestant starts and waits for count too.
    """
    names = list(contestants)
    for _ in range(warm_up):
        for name in names:
            contestants[name]()
    taken: dict[str, list[float]] = {name: [] for name in names}
    for repeat in range(repeats):
        for name in names if repeat % 2 == 0 else reversed(names):
            before = cpu_seconds()
            contestants[name]()
            taken[name].append(cpu_seconds() - before)
    return taken


def ratio(taken: Mapping[str, Sequence[float]], name: str, base: str) -> tuple[float, tuple[float, float]]:
    """Return the median of the pairwise ratios `name / base` of one `interleave`, and their range."""
    pairs = [a / b for a, b in zip(taken[name], taken[base], strict=True) if b > 0]
    return summary(pairs)


def summary(values: Sequence[float]) -> tuple[float, tuple[float, float]]:
    """Return the median of `values` and (lowest, highest)."""
    return statistics.median(values), (min(values), max(values))


def main(
    run: Callable[[bool], list[Result]],
    argv: Sequence[str] | None = None,
    *,
    headline: Callable[[Sequence[Result]], Mapping[str, object]] = lambda _: {},
) -> None:
    """Parse `--quick`, `--json` and `--save`, call `run(quick)`, print its results: JSON on stdout, or a table.

    The JSON is `{"benchmark", "quick", "machine", "wall_s", "results": [...]}`, with what `headline` makes of the
    results beside them. `--save` keeps the results of a full run in `benchmarks/results/`.
    """
    name, about = described(run)
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=about)
    parser.add_argument("--quick", action="store_true", help="smaller data, under 50 s on two cores")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--save", action="store_true", help="keep the results in benchmarks/results")
    args = parser.parse_args(argv)
    if args.save and args.quick:
        parser.error("--save keeps results that the documentation shows, so it needs a full run, without --quick")
    before = machine()
    with measured() as timing:
        results = [quickly(row) for row in run(True)] if args.quick else run(False)
    if args.save:
        path = save(RESULTS, name, about, results, machine=before, wall_s=timing.wall_s)
        print(f"kept in {path}; now: make figures", file=sys.stderr)
    if args.json:
        report = {
            "benchmark": name,
            "quick": args.quick,
            "machine": machine(),
            "wall_s": round(timing.wall_s, 2),
            **headline(results),
            "results": [asdict(result) for result in results],
        }
        print(json.dumps(report, indent=2))
        return
    kind = "quick" if args.quick else "full"
    print(f"benchmarks.{name} ({kind}, {timing.wall_s:.0f} s)  {machine()}\n")
    print(table(results))


def quickly(row: Result) -> Result:
    """A row of a quick run, which says that it is one: it shows that the benchmark runs, and no figure."""
    return replace(row, note="; ".join(filter(None, [row.note, "quick: proves nothing"])))


def save(folder: Path, name: str, about: str, results: Sequence[Result], *, machine: str, wall_s: float) -> Path:
    """Write the results to `folder/NAME.json` with date, commit and machine, and return the path.

    What the file says under `carried` stays: figures from before results were kept, which no run replaces by itself.
    """
    path = folder / f"{name}.json"
    kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    kept |= {
        "benchmark": name,
        "about": about,
        "command": f"python -m benchmarks.{name}",
        "saved": {
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "commit": commit.stdout.strip() or None,
            "machine": machine,
            "wall_s": round(wall_s, 1),
            "results": [rounded(result) for result in results],
        },
    }
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def rounded(result: Result) -> dict[str, Any]:
    """Return a result as plain data, with six significant digits.

    >>> rounded(Result("push", 1234.56789, "ms", spread=(1 / 3, 2.0)))["spread"]
    [0.333333, 2.0]
    """
    spread = None if result.spread is None else [float(f"{end:.6g}") for end in result.spread]
    return asdict(result) | {"value": float(f"{result.value:.6g}"), "spread": spread}


def described(run: Callable[[bool], list[Result]]) -> tuple[str, str]:
    """Return the name of the benchmark `run` belongs to and the first line of its module's docstring."""
    module = sys.modules[run.__module__]
    name = Path(module.__file__ or "benchmark").stem
    return name, (module.__doc__ or "").strip().split("\n")[0]


def machine() -> str:
    """Return what the figures were taken on, in one line, without the machine's name."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = os.getloadavg()[0]
    return f"{platform.machine()}, {cores} cores, load {load:.1f}, Python {platform.python_version()}"


def table(results: Sequence[Result]) -> str:
    """Return the results as aligned text columns; a column that no row fills is left out."""
    header = ("what", "value", "unit", "n", "repeats", "spread", "note")
    rows = [
        (
            result.name,
            figure(result.value),
            result.unit,
            "" if result.n is None else f"{result.n:,}",
            "" if result.seeds == 1 else str(result.seeds),
            "" if result.spread is None else f"{figure(result.spread[0])} .. {figure(result.spread[1])}",
            result.note,
        )
        for result in results
    ]
    used = [column for column in range(len(header)) if column < 3 or any(row[column] for row in rows)]
    widths = {column: max(len(row[column]) for row in [header, *rows]) for column in used}
    right = {1, 3, 4}

    def line(row: Sequence[str]) -> str:
        cells = (row[c].rjust(widths[c]) if c in right else row[c].ljust(widths[c]) for c in used)
        return "  ".join(cells).rstrip()

    return "\n".join([line(header), "  ".join("-" * widths[c] for c in used), *(line(row) for row in rows)])


def figure(value: float) -> str:
    """Return `value` with three significant digits, thousands separated, never in exponent form.

    >>> [figure(x) for x in (0.01234, 1.5, 42.0, 999.6, 1234567.0)]
    ['0.0123', '1.5', '42', '1,000', '1,234,567']
    """
    if value == 0:
        return "0"
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
