"""A test process that dies fails the test that it was at; the tests after it are run, and the run ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CONFTEST = """
from tests.support.sharing import WholeFiles

def pytest_xdist_make_scheduler(config, log):
    return WholeFiles(config, log)
"""
#: Tests of a file: those before the one that dies, that one, those after it.
PLACES = {"first": (0, 3), "in the middle": (2, 3), "the last of its file": (3, 0), "alone": (0, 0)}


@pytest.mark.slow
@pytest.mark.parametrize(("place", "last"), [*((place, True) for place in PLACES), ("in the middle", False)], ids=str)
def test_the_other_tests_are_run_and_the_run_ends(tmp_path: Path, place: str, last: bool) -> None:
    before, after = PLACES[place]
    fine = "def test_{}():\n    pass\n"
    dies = "def test_dies():\n    import os, time\n    time.sleep(0.3)\n    os._exit(1)\n"
    dying = "".join(fine.format(i) for i in range(before)) + dies + "".join(fine.format(i + 10) for i in range(after))
    (tmp_path / "conftest.py").write_text(CONFTEST)
    others = 4
    for i in range(others):
        (tmp_path / f"test_b{i}.py").write_text("".join(fine.format(k) for k in range(3)))
    (tmp_path / ("test_c.py" if last else "test_a.py")).write_text(dying)
    command = [sys.executable, "-m", "pytest", "-p", "xdist", "-q", "-n", "2", "--dist", "loadfile"]
    done = subprocess.run(
        [*command, "--no-loadscope-reorder", "-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", ".", "."],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"1 failed, {3 * others + before + after} passed" in done.stdout
    assert "test_dies" in done.stdout
