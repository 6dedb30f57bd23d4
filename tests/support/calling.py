"""Calls of ``emolab`` in this process, and in one of its own that obeys permissions although root runs the tests."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from emolab.cli.main import run

#: Root without these obeys the permission bits of files, and cannot read what belongs to others alone.
_POWERS = "-dac_override,-dac_read_search,-fowner"


@dataclass(frozen=True)
class Said:
    """Exit code, standard output and standard error."""

    code: int
    out: str
    err: str


def emolab(*arguments: str | Path) -> Said:
    """Call the command line here; a traceback fails the test."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code = run([str(argument) for argument in arguments])
        except SystemExit as end:
            code = int(end.code or 0)
    return Said(code, out.getvalue(), err.getvalue())


def without_powers(*arguments: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Said:
    """Call the command line in a process that may do what permissions say; skips where root cannot be held back."""
    before: list[str] = []
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root obeys permissions only with setpriv")
        before = ["setpriv", f"--bounding-set={_POWERS}"]
    done = subprocess.run(
        [*before, sys.executable, "-m", "emolab", *map(str, arguments)],
        cwd=cwd, capture_output=True, text=True, check=False, timeout=300, stdin=subprocess.DEVNULL,
        env={**os.environ, "COLUMNS": "110", **(env or {})},
    )  # fmt: skip
    return Said(done.returncode, done.stdout, done.stderr)


def one_line(said: Said) -> str:
    """The error's line; fails the test when there is more than that line and the way out."""
    assert "Traceback" not in said.err, said.err
    lines = said.err.strip().splitlines()
    assert len(lines) <= 2, said.err
    assert lines[0].startswith("error: "), said.err
    return said.err.strip()
