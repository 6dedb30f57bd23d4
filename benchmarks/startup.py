"""What `emolab --help` costs next to a bare Python and next to the tools it builds on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec

from benchmarks.harness import Result, interleave, main, ratio, summary

BARE = "python -c pass"
TARGET = 5


def cpu_of(arguments: Sequence[str], environment: Mapping[str, str]) -> float:
    """Return the CPU seconds (user + system) of one fresh interpreter run with `arguments`."""
    with subprocess.Popen(
        [sys.executable, *arguments], env=dict(environment), stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL
    ) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"python {' '.join(arguments)} ended with status {process.returncode}")
    return used.ru_utime + used.ru_stime


def run(quick: bool) -> list[Result]:
    """Run every contestant in turns, with its bytecode in place as after an installation."""
    repeats = 11 if quick else 41
    commands = {
        BARE: ("-c", "pass"),
        "import click": ("-c", "import click"),
        "emolab --version": ("-m", "emolab", "--version"),
        "emolab --help": ("-m", "emolab", "--help"),
        "emolab init --help": ("-m", "emolab", "init", "--help"),
        "import numpy": ("-c", "import numpy"),
    }
    heavy = {f"import {name}": ("-c", f"import {name}") for name in ("torch", "fiftyone") if find_spec(name)}
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

    def contest(table: Mapping[str, Sequence[str]], repeats: int) -> dict[str, list[float]]:
        calls = {name: (lambda a=arguments: cpu_of(a, environment)) for name, arguments in table.items()}
        return interleave(calls, repeats)

    taken = contest(commands, repeats)
    slow = contest({BARE: commands[BARE], **heavy}, 1 if quick else 3) if heavy else {}
    results = []
    for name, spent in [*taken.items(), *((name, slow[name]) for name in heavy)]:
        middle, (low, high) = summary(spent)
        factor, _ = ratio(taken if name in taken else slow, name, BARE)
        note = (
            "" if name == BARE else f"{factor:.1f} x bare" + (f", at most {TARGET}" if name == "emolab --help" else "")
        )
        spread = (low * 1000, high * 1000) if len(spent) > 1 else None
        results.append(Result(name, middle * 1000, "ms CPU", seeds=len(spent), spread=spread, note=note))
    return results


if __name__ == "__main__":
    main(run)
