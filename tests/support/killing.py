"""Cycles in processes of their own, each killed at a moment that is given.

They are forked from a process that has imported what a cycle needs and runs no thread. A fork of the tests' own process
would take over the locks that its threads held and the connections that it had open at that instant. It may also never
come back: OpenBLAS ends its threads before a fork, and waits for one that works for another thread. (Seen with NumPy
2.4: gdb shows ``blas_thread_shutdown_`` in ``pthread_join``.)
"""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from multiprocessing import forkserver
from pathlib import Path
from typing import Any
from unittest import mock

from sqlalchemy import event
from sqlalchemy.engine import Engine

from emolab.loop.operate.cycle.run_cycle import COMPLETE, NOTHING_NEW, cycle
from emolab.workspace import Workspace

#: Where the processes are forked from, and what it imports first, as each of them would for seconds. OpenVINO is not
#: there: it starts a thread. One that an earlier test's training has begun imported something else: with that, a
#: hundred kills took nine times as long.
CLEAN = forkserver.ForkServer()
CLEAN.set_forkserver_preload([
    __name__, "httpx", "scipy.ndimage", "scipy.optimize", "torchvision.transforms.v2",
    "emolab.training.train_model", "emolab.loop.model.training_run", "emolab.loop.label.suggest",
])  # fmt: skip
#: Seconds after which a cycle that does not end is a fault: one takes two or three.
PATIENCE = 240.0


class Killer:
    """Kills this process at its ``moment``-th write that lasts: before or after a commit, a sync or a renaming."""

    def __init__(self, moment: int) -> None:
        self.left = moment

    def __call__(self, *_: object) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            self()
            result = function(*args, **kwargs)
            self()
            return result

        return wrapped


def at_writes(killer: Killer) -> None:
    """Let ``killer`` count commits, syncs and renamings of this process from now on."""
    event.listen(Engine, "commit", killer)
    for name in ("fsync", "replace", "rename"):
        setattr(os, name, killer.around(getattr(os, name)))


def at_writes_of_its_push(killer: Killer) -> None:
    """Let ``killer`` count commits, syncs, renamings and requests from the moment on in which the push begins."""
    import httpx

    from emolab.loop.label import push as pushing

    real = pushing.push_waiting

    def push(*args: Any, **kwargs: Any) -> Any:
        at_writes(killer)
        httpx.Client.send = killer.around(httpx.Client.send)  # type: ignore[method-assign]
        return real(*args, **kwargs)

    pushing.push_waiting = push


def killed(workspace: Workspace, moment: int, arm: Callable[[Killer], None] = at_writes) -> bool:
    """Whether a cycle in a process of its own was killed at ``moment``; ``False`` where it came to its end before.

    One that ends with an error is warned of and counts as killed: the next one has to go on (see :func:`errors`).
    """
    error = workspace.root.with_name("error.txt")
    with mock.patch.dict(os.environ, {"OMP_NUM_THREADS": "1"}):  # waiting threads burn what a second process needs
        CLEAN.ensure_running()
    child = multiprocessing.get_context("forkserver").Process(
        target=_cycle, args=(workspace, moment, arm, dict(os.environ), error)
    )
    with mock.patch.object(forkserver, "connect_to_new_process", CLEAN.connect_to_new_process):
        child.start()
    child.join(PATIENCE)
    if child.exitcode is None:
        os.kill(int(child.pid or 0), signal.SIGUSR1)
        time.sleep(1)
        child.kill()
        child.join()
        raise AssertionError(f"a cycle to be killed at write {moment} did not end:\n{error.read_text()}")
    said = error.read_text()
    error.unlink()
    if child.exitcode in (0, -signal.SIGKILL):
        return child.exitcode != 0
    warnings.warn(f"a cycle ended with an error:\n{said}", stacklevel=2)
    error.with_name(f"error{child.pid}.txt").write_text(said)
    return True


def errors(workspace: Workspace) -> list[Path]:
    """What the cycles of :func:`killed` said that ended with an error."""
    return sorted(workspace.root.parent.glob("error*.txt"))


def _cycle(
    workspace: Workspace, moment: int, arm: Callable[[Killer], None], environment: dict[str, str], error: Path
) -> None:
    """One cycle in this process; what it ends with, or is at when asked, stands in ``error``."""
    os.environ.clear()
    os.environ.update(environment)
    with error.open("w") as file:
        faulthandler.register(signal.SIGUSR1, file=file)
        try:
            arm(Killer(moment))
            outcome = cycle(workspace).outcome
        except BaseException:
            file.write(traceback.format_exc())
            raise
        if outcome not in (COMPLETE, NOTHING_NEW):
            file.write(outcome)
            sys.exit(2)
