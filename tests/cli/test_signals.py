"""SIGTERM ends long commands as Ctrl-C does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from emolab.labeling.form import controls
from emolab.labeling.sync import project
from emolab.workspace import Workspace
from tests.support.servers import LabelStudioServer
from tests.support.syncing import environment

#: Kills itself twice, the second time while it cleans up.
KILLED = """
import os, signal
from emolab.cli.ui.signals import terminated_like_ctrl_c
before = signal.getsignal(signal.SIGTERM)
try:
    with terminated_like_ctrl_c():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            print("cleaned up")
except KeyboardInterrupt:
    print("interrupted", signal.getsignal(signal.SIGTERM) == before)
"""


def test_a_polite_kill_raises_keyboard_interrupt_once_and_lets_the_cleaning_finish() -> None:
    # a process of its own: should this fail, it must not take the other tests with it
    ended = subprocess.run([sys.executable, "-c", KILLED], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "cleaned up\ninterrupted True\n"), ended


#: The signal comes where Python throws exceptions away; whoever asked must not wait for the end of the work.
LOST = """
import os, signal, sys, time, weakref
from emolab.cli.ui.signals import terminated_like_ctrl_c
class Thing:
    if "{where}" == "destructor":
        def __del__(self):
            come()
def come(*_):
    os.kill(os.getpid(), signal.{signal})
    for _ in range(1000):
        pass
hook = sys.unraisablehook
try:
    with terminated_like_ctrl_c():
        thing = Thing()
        seen = weakref.ref(thing, come) if "{where}" == "callback" else None
        del thing
        for _ in range(200):
            time.sleep(0.05)
        print("went on")
except KeyboardInterrupt:
    print("interrupted", sys.unraisablehook is hook)
"""


@pytest.mark.parametrize("sent", ["SIGTERM", "SIGINT"])
@pytest.mark.parametrize("where", ["destructor", "callback"])
def test_an_interrupt_that_python_throws_away_comes_again(where: str, sent: str) -> None:
    code = LOST.format(where=where, signal=sent)
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "interrupted True\n", ""), ended


def test_other_exceptions_that_python_throws_away_are_told_as_before() -> None:
    code = (
        "from emolab.cli.ui.signals import terminated_like_ctrl_c\n"
        "class Thing:\n    def __del__(self):\n        1 / 0\n"
        "with terminated_like_ctrl_c():\n    Thing()\n    print('went on')\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "went on\n")
    assert "ZeroDivisionError" in ended.stderr


def test_an_interrupt_within_an_import_ends_with_the_same_code(tmp_path: Path) -> None:
    """Python ends by the signal where one came inside of an exec(), as when a dataclass is made; emolab does not."""
    (tmp_path / "interrupted.py").write_text(
        "from emolab.cli import main\n"
        "main.cli.main = lambda **_: exec('raise KeyboardInterrupt')\n"
        "main.main([])\n"
    )  # fmt: skip
    command = [sys.executable, "-m", "interrupted"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 130, ended
    assert "stopped; run the same command again to go on." in ended.stderr


@pytest.mark.slow
@pytest.mark.labelstudio
def test_watching_ends_politely(label_studio: LabelStudioServer, tmp_path: Path) -> None:
    workspace = Workspace.init(tmp_path / f"watched {os.getpid()}", classes=("happiness", "sadness"))
    with label_studio.client() as studio:
        made = studio.create_project(project.title_of(workspace.config), controls.render(("happiness", "sadness")))
        with subprocess.Popen(
            [sys.executable, "-m", "emolab", "label", "pull", "--watch", "--every", "0.2"],
            cwd=workspace.root,
            env=environment(label_studio.url, label_studio.token),
            stderr=subprocess.PIPE,
            text=True,
        ) as watching:
            assert watching.stderr is not None
            first = watching.stderr.readline()
            assert first.startswith("watching http://"), first
            watching.terminate()
            _, said = watching.communicate(timeout=60)
        studio.delete_project(made.id)
    assert watching.returncode == 130, said
    assert "stopped; run the same command again to go on." in said
    assert "Traceback" not in said
