"""`emolab --help` answers at once: it imports no heavy package and costs little more than Python itself."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys

import pytest

from benchmarks.startup import cpu_of
from emolab.cli.main import COMMANDS

HEAVY = {
    "PIL",
    "alembic",
    "av",
    "cv2",
    "fiftyone",
    "httpx",
    "imgaug",
    "label_studio_sdk",
    "numpy",
    "pandas",
    "rich",
    "scipy",
    "sklearn",
    "sqlalchemy",
    "timm",
    "torch",
    "torchvision",
}
AT_MOST = 5.0  # times the CPU of `python -c pass`


def imported_by(code: str) -> set[str]:
    """Return the top-level modules a fresh interpreter holds after `code`."""
    listing = f"import sys\ntry:\n    {code}\nfinally:\n    import json; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    return {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


def test_help_imports_no_heavy_package() -> None:
    code = "from emolab.cli.main import main; sys.argv = ['emolab', '--help']; main()"
    assert imported_by(code) & HEAVY == set()


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_loading_a_command_imports_no_heavy_package(command: str) -> None:
    module = COMMANDS[command][0]
    assert imported_by(f"import {module}") & HEAVY == set()


def test_help_lists_every_command_with_its_line() -> None:
    done = subprocess.run([sys.executable, "-m", "emolab", "--help"], capture_output=True, text=True, check=True)
    for name, (_, line) in COMMANDS.items():
        assert name in done.stdout
        assert line.split()[0] in done.stdout


@pytest.mark.slow
def test_help_costs_at_most_five_times_a_bare_python() -> None:
    # With bytecode in place, as after an installation: the first, unmeasured calls write it.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    contestants = {"bare": ("-c", "pass"), "help": ("-m", "emolab", "--help")}
    for arguments in contestants.values():
        cpu_of(arguments, environment)
    taken: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(15):
        for name, arguments in contestants.items():
            taken[name].append(cpu_of(arguments, environment))
    bare, helped = (statistics.median(taken[name]) for name in ("bare", "help"))
    assert helped <= AT_MOST * bare, f"--help {helped * 1000:.0f} ms, python -c pass {bare * 1000:.0f} ms of CPU"
