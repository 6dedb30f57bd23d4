"""How test processes share work: one that dies costs one test, and what a process makes once is made once."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from emolab import files
from tests.support.kept_patches import kept_by

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


def test_what_is_made_once_a_process_is_made_in_one_place() -> None:
    """A fixture that a second module of tests imports is made once for each of them, whatever its scope says."""
    made, taken = set(), set()
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and any(_once(each) for each in node.decorator_list):
                made.add(f"{'.'.join(file.relative_to(ROOT).with_suffix('').parts)}.{node.name}")
            elif isinstance(node, ast.ImportFrom) and node.module:
                taken |= {f"{node.module}.{name.name}" for name in node.names}
    assert made, "some are made in modules of tests, for their own tests alone"
    assert not made & taken, "such a fixture belongs into tests/support and tests/conftest.py"


def _once(decorator: ast.expr) -> bool:
    return isinstance(decorator, ast.Call) and any(
        word.arg == "scope" and isinstance(word.value, ast.Constant) and word.value.value == "session"
        for word in decorator.keywords
    )


def test_a_module_that_keeps_what_a_test_replaced_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Imported while a constant was replaced, it would hold the replacement for every later test of the process."""
    (tmp_path / "kept_limit.py").write_text("from emolab.files import write_text as put\n\nLATE = put\n")
    (tmp_path / "free_limit.py").write_text("from emolab import files\n\nLATE = files\n")
    monkeypatch.syspath_prepend(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(files, "write_text", print)
        for name in ("kept_limit", "free_limit"):
            monkeypatch.setitem(sys.modules, name, importlib.import_module(name))
        assert kept_by("kept_limit") == []
    assert kept_by("kept_limit") == ["kept_limit: emolab.files.write_text"]
    assert kept_by("free_limit") == []
