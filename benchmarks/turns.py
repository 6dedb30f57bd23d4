"""Contestants in processes of their own, which take turns: what one does to its process leaves the others alone.

A contestant that changes its process for good (an allocator told to keep memory, workers forked from it) cannot share
one with a contestant that must not see that. Each runs `serve` in a child and waits there for its turn.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from benchmarks.harness import cpu_seconds

Times = dict[str, list[float]]


class Turn:
    """The child's side of one turn: says how long it took, waits for the next, and is done when the parent is."""

    def __init__(self) -> None:
        self.began = (0.0, 0.0)

    def wait(self) -> bool:
        """Whether there is another turn; returns when it begins."""
        if not sys.stdin.readline():
            return False
        self.began = (cpu_seconds(), time.perf_counter())
        return True

    def done(self, note: str = "") -> None:
        """Report the turn that ends here."""
        cpu, clock = cpu_seconds() - self.began[0], time.perf_counter() - self.began[1]
        print(f"turn {cpu:.9f} {clock:.9f} {note}", flush=True)


def serve(work: Callable[[], object], clean: Callable[[], object] | None = None) -> None:
    """Do ``work`` once per turn, and ``clean`` up after it, uncounted, until the parent has enough."""
    turn = Turn()
    while turn.wait():
        work()
        turn.done()
        if clean:
            clean()


class Contestant:
    """The parent's side: a child that runs ``python -m MODULE ARGUMENTS``."""

    def __init__(self, module: str, arguments: Sequence[str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.note = ""

    def turn(self) -> tuple[float, float]:
        """CPU seconds, workers that ended included, and seconds of one turn."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        for line in self.process.stdout:  # whatever else a library may print
            if line.startswith("turn "):
                _, cpu, clock, self.note = line.rstrip("\n").split(" ", 3)
                return float(cpu), float(clock)
        raise RuntimeError(f"{' '.join(map(str, self.process.args))} ended in the middle")  # type: ignore[arg-type]

    def close(self) -> None:
        """End the child and wait for it."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(timeout=60)


@contextmanager
def contestants(wanted: Mapping[str, tuple[str, Sequence[str]]]) -> Iterator[dict[str, Contestant]]:
    """The children for (module, arguments) by name, started at once and ended at the end."""
    with ExitStack() as stack:
        found = {}
        for name, (module, arguments) in wanted.items():
            found[name] = Contestant(module, arguments)
            stack.callback(found[name].close)
        yield found


def take_turns(playing: Mapping[str, Contestant], repeats: int, *, warm_up: int = 1) -> tuple[Times, Times]:
    """CPU seconds and seconds of each contestant, one figure per repeat; the order turns around every other time."""
    cpu: Times = {name: [] for name in playing}
    clock: Times = {name: [] for name in playing}
    for repeat in range(warm_up + repeats):
        for name in list(playing) if repeat % 2 == 0 else reversed(list(playing)):
            taken = playing[name].turn()
            if repeat >= warm_up:
                cpu[name].append(taken[0])
                clock[name].append(taken[1])
    return cpu, clock
