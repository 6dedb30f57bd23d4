"""One row of ``emolab doctor``, and how a package is tried in a process of its own.

An import that crashes says so in its row instead of ending the doctor, and what one package loads cannot hide what
another one lacks.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

State = Literal["works", "missing", "broken"]

PROBE_SECONDS = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One row: ``fix`` is the command or sentence that helps; ``needed`` whether the loop stands still without it.

    ``adds`` says what something that is not needed is good for.
    """

    name: str
    state: State
    detail: str
    fix: str | None = None
    needed: bool = True
    adds: str | None = None


@dataclass(frozen=True, slots=True)
class Probe:
    """The answer of a process: what it found, or the last line of its complaint."""

    found: Mapping[str, object] | None
    complaint: str = ""


def probe(code: str, *, seconds: float = PROBE_SECONDS) -> Probe:
    """Run ``code`` in a fresh interpreter; it puts what it finds into a dictionary called ``found``."""
    script = f"found = {{}}\n{code}\nimport json\nprint()\nprint(json.dumps(found))"
    environment = {**os.environ, "FIFTYONE_DO_NOT_TRACK": "1"}
    try:
        done = subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
            env=environment,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return Probe(None, f"no answer within {seconds:g} s")
    if done.returncode != 0:
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        killed = f"ended by signal {-done.returncode}" if done.returncode < 0 else ""
        return Probe(None, killed or shorten(said[-1] if said else f"exit status {done.returncode}"))
    return Probe(json.loads(done.stdout.splitlines()[-1]))


def shorten(text: str, length: int = 160) -> str:
    """Return ``text`` on one line, without passwords in addresses, at most ``length`` characters long."""
    plain = re.sub(r"(\w+://)[^/@\s]+@", r"\1…@", " ".join(text.split()))
    return plain if len(plain) <= length else plain[: length - 1] + "…"


def installed(package: str) -> str | None:
    """Return the version of an installed package, or ``None``."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def clone_or(otherwise: str) -> str:
    """Return the command that fixes this environment: a clone's own set-up, or ``otherwise``."""
    return "make setup" if (Path(sys.prefix).parent / "scripts" / "setup.sh").is_file() else otherwise


def get(extra: str) -> str:
    """Return the command that installs an extra."""
    return clone_or(f'pip install "emolab[{extra}]"')
