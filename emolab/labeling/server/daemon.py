"""A background process that outlives the command that started it, found again by its pid and its birth.

A pid alone is not enough: after a reboot or a long time it names a stranger. So the process's birth (boot id and
start tick on Linux, start time elsewhere) is noted beside it, and only a process with the same birth is ever signalled.
The process writes that note itself, before it becomes the program: a starter killed at any instant leaves no orphan
that nobody knows of. Only the standard library is imported, because this file also runs as that first step.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

LOOPBACK = "127.0.0.1"
EVERYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104 (names for it, nothing is bound here)
_FIRST_FREE = 20000
ROTATE_AT = 8_000_000  # bytes of log after which the old log is set aside


def birth(pid: int) -> str | None:
    """Return what tells this process from any other with the same pid; ``None`` when it does not run (any more)."""
    if Path("/proc/self/stat").exists():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        except OSError:
            return None
        # A zombie whose other threads are still ending holds on to its files and ports: that is not dead yet.
        dead = fields[0] == "X" or (fields[0] == "Z" and _threads(pid) <= 1)
        return None if dead else f"{boot} {fields[19]}"
    answer = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    state, _, started = answer.stdout.strip().partition(" ")
    return None if not state or state.startswith("Z") else started.strip()


def _threads(pid: int) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/task"))  # noqa: PTH208 (a count)
    except OSError:
        return 0


def spawn(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path,
    log: Path,
    note: Path | None = None,
    facts: Mapping[str, object] | None = None,
) -> subprocess.Popen[bytes]:
    """Start ``command`` in a session of its own, so that closing the terminal or Ctrl-C does not reach it.

    It gets exactly ``env``. Both its outputs are appended to ``log``, which only the owner may read. With ``note``, the
    new process writes that JSON file before anything else: ``facts`` and its own ``pid`` and ``born``.
    """
    if note is not None:
        command = [sys.executable, "-I", __file__, str(note), json.dumps(facts or {}), *command]
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        return subprocess.Popen(
            list(command),
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    finally:
        os.close(descriptor)


def stop(pid: int, born: str, *, grace: float = 10.0) -> bool:
    """End the process with this pid and birth: politely, after ``grace`` seconds by force.

    Returns ``False`` without touching anything when no such process runs.
    """
    if birth(pid) != born:
        return False
    for number, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, 10.0)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        end = time.monotonic() + patience
        while time.monotonic() < end:
            with contextlib.suppress(ChildProcessError):  # it is not a child of this process
                os.waitpid(pid, os.WNOHANG)
            if birth(pid) != born:
                return True
            time.sleep(0.05)
    return True


def begin_log(log: Path) -> int:
    """Return the byte at which the next process's part of a log begins; a big log is set aside first."""
    with contextlib.suppress(FileNotFoundError):
        size = log.stat().st_size
        if size <= ROTATE_AT:
            return size
        log.replace(log.with_suffix(".old.log"))
    return 0


def tail(log: Path, *, start: int = 0, lines: int = 15) -> str:
    """Return the last lines that are not blank of ``log``, looking no further back than byte ``start``."""
    try:
        with log.open("rb") as stream:
            stream.seek(start)
            text = stream.read().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join([line for line in text.splitlines() if line.strip()][-lines:])


def why_taken(port: int, host: str = LOOPBACK) -> str | None:
    """Return in words why a server cannot listen on this address, or ``None`` when it can."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except PermissionError:
            return f"Port {port} is not allowed for you; ports from 1024 on are"
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return f"Port {port} on {host} is taken by another program"
            return f'"{host}" is no IPv4 address of this machine'
    with socket.socket() as probe:  # Label Studio looks at localhost, whichever address it is to bind
        other = probe.connect_ex((LOOPBACK, port)) == 0
    return f"Port {port} on {LOOPBACK} is taken by another program" if other else None


def free_port(host: str = LOOPBACK) -> int:
    """Return a port that nobody listens on just now.

    A server takes a while until it binds it. So the port is none of those that the system gives to outgoing
    connections and to whoever asks for any port, unless all others are taken.
    """
    for port in random.SystemRandom().sample(range(_FIRST_FREE, _first_given()), 50):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind((host, port))
            return port
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _first_given() -> int:
    """The lowest port that the system gives away by itself; the usual one where it does not say."""
    try:
        lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        lowest = 32768
    return lowest if lowest >= _FIRST_FREE + 1000 else 65536


def outside_address() -> str:
    """Return the address other machines on the network most likely reach this one at; nothing is sent to find out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address reserved for documentation: only the route is looked up
            return str(probe.getsockname()[0])
        except OSError:
            return socket.gethostname()


def _become(note: Path, facts: str, command: list[str]) -> None:
    """Write the note about this very process, then turn into ``command`` (same pid, same birth)."""
    part = note.with_name(f".{note.name}.{os.getpid()}.part")
    part.write_text(json.dumps({**json.loads(facts), "pid": os.getpid(), "born": birth(os.getpid())}), encoding="utf-8")
    part.replace(note)
    os.execv(command[0], command)  # noqa: S606 (no shell)


if __name__ == "__main__":
    _become(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
