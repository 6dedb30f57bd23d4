"""One machine of a team: a workspace, a troubled way to the server, and commands that run until killed."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.faulting.trouble import Plan, Trouble
from emolab.workspace import Workspace

_PRELOAD = ("numpy", "label_studio_sdk", "emolab.cli.main", "emolab.labeling.sync.pull", "emolab.labeling.sync.push")
_CONTEXT = multiprocessing.get_context("forkserver")
_PATIENCE = 300.0  # seconds after which a command is given up
#: Exit codes of a command that ended by itself as it should: done, or one line that says what to do.
MANNERLY = (0, 1)


@dataclass
class Machine:
    """Where commands run. ``commands`` counts them by how they ended, ``rude`` keeps tracebacks and odd endings."""

    name: str
    workspace: Workspace
    trouble: Trouble
    token: str
    commands: Counter[str] = field(default_factory=Counter)
    killed: Counter[str] = field(default_factory=Counter)
    rude: list[str] = field(default_factory=list)
    usual: dict[str, int] = field(default_factory=dict)  # requests of an undisturbed command, by its name

    def run(self, *arguments: str, plan: Plan | None = None) -> tuple[int, str]:
        """Run ``emolab`` with ``arguments`` through the trouble; its exit code (-9: killed) and what it said."""
        log = self.workspace.root.parent / f"{self.name}.log"
        process = _CONTEXT.Process(
            target=_command, args=(arguments, self.workspace.root, self.trouble.url, self.token, log)
        )
        # Only this thread may wait for the process: of two that do, one would not learn how it ended.
        self.trouble.begin(plan, process.kill)
        process.start()
        process.join(_PATIENCE)
        if process.is_alive():
            process.kill()
            process.join()
            self.rude.append(f"{' '.join(arguments)}: no end after {_PATIENCE:.0f} s; {plan}")
        name, code = " ".join(arguments[:2]), process.exitcode
        said = log.read_text(errors="replace")
        if plan is None and code == 0:
            self.usual[name] = max(self.trouble.requests, self.usual.get(name, 0))
        self.trouble.begin(None)
        if code == -signal.SIGKILL:
            self.killed[name] += 1
        elif code not in MANNERLY or "Traceback (most recent call last)" in said:
            self.rude.append(f"{' '.join(arguments)}: exit {code}; {plan}\n{said[-3000:]}")
        self.commands[f"{name}: exit {code}"] += 1
        return int(code if code is not None else -1), said

    def pick(self, name: str, whats: tuple[str, ...], clocks: tuple[float | None, ...], rng: random.Random) -> Plan:
        """A plan that hits one of the requests such a command usually makes."""
        return Plan(rng.choice(whats), rng.randrange(max(1, self.usual.get(name, 12))), rng.choice(clocks))


def warm_up() -> None:
    """Load what commands need once, so that each of them starts in a moment."""
    _CONTEXT.set_forkserver_preload(["__main__", *_PRELOAD])


def _command(arguments: tuple[str, ...], root: Path, url: str, token: str, log: Path) -> None:
    """The command line of emolab in this process, its output in ``log``."""
    with log.open("wb") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    os.chdir(root)
    os.environ.update(LABEL_STUDIO_URL=url, EMOLAB_STUDIO_TOKEN=token, COLUMNS="110")
    from emolab.cli.main import main

    main(list(arguments))
