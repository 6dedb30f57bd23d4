"""Runs a MongoDB server for as long as anybody holds a shared lock on a file, then stops it.

A program of its own (``python -I mongod_keeper.py LOCK LIBRARIES COMMAND...``) that imports the standard
library only. The operating system frees a lock however its holder dies, so the last emolab process to end, by
Ctrl-C, by kill -9 or in peace, ends the server too.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def keep(lock: Path, libraries: str, command: list[str]) -> int:
    """Run ``command`` until ``lock`` can be held alone; returns its exit code (negative: a signal ended it).

    ``libraries`` (may be empty) goes in front of the server's library path. The lock is kept while the
    server shuts down, so that nobody meets one that is on its way out.
    """
    environment = dict(os.environ)
    if libraries:
        inherited = environment.get("LD_LIBRARY_PATH")
        environment["LD_LIBRARY_PATH"] = f"{libraries}:{inherited}" if inherited else libraries
    server = subprocess.Popen(command, env=environment, preexec_fn=_die_with_parent)  # noqa: PLW1509 - no threads yet
    signal.signal(signal.SIGTERM, lambda *_: server.terminate())
    threading.Thread(target=_stop_when_free, args=(lock, server), daemon=True).start()
    return server.wait()


def _stop_when_free(lock: Path, server: subprocess.Popen[bytes]) -> None:
    descriptor = os.open(lock, os.O_RDWR)  # stays open until this process ends
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    server.terminate()


def _die_with_parent() -> None:
    """Ask Linux to stop the server if this process is killed; other systems have no such request."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(keep(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]))
