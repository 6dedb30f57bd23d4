"""Workspaces: made once, found from below, locked by one process at a time."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from emolab.errors import ConfigError, EmolabError
from emolab.files import write_bytes
from emolab.workspace import Workspace

CLASSES = ("happiness", "sadness")


def test_init_twice_is_one_workspace(tmp_path: Path) -> None:
    first = Workspace.init(tmp_path / "w", classes=CLASSES)
    again = Workspace.init(tmp_path / "w", classes=CLASSES)
    assert first == again
    assert stat.S_IMODE(first.state.stat().st_mode) == 0o700


def test_init_never_changes_the_classes_of_a_workspace(tmp_path: Path) -> None:
    Workspace.init(tmp_path / "w", classes=CLASSES)
    with pytest.raises(ConfigError, match="is a workspace already, for image with classes happiness, sadness"):
        Workspace.init(tmp_path / "w", classes=("a", "b"))


def test_init_mends_a_workspace_whose_state_folder_is_gone(tmp_path: Path) -> None:
    made = Workspace.init(tmp_path / "w", classes=CLASSES)
    (made.state / "catalog.db").unlink()
    assert Workspace.init(tmp_path / "w", classes=CLASSES) == made
    assert (made.state / "catalog.db").exists()


def test_a_workspace_is_found_from_a_folder_below(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    below = workspace.root / "photos" / "monday"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert Workspace.find() == workspace
    monkeypatch.chdir("/")
    monkeypatch.setenv("EMOLAB_WORKSPACE", str(below))
    assert Workspace.find() == workspace


def test_no_workspace_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="emolab init"):
        Workspace.find(tmp_path)


def test_a_lock_held_elsewhere_is_refused_and_freed_by_kill_9(workspace: Workspace) -> None:
    code = (
        "import sys; from pathlib import Path; from emolab.workspace import Workspace\n"
        "with Workspace.open(Path(sys.argv[1])).lock('train'):\n    print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(workspace.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(EmolabError, match=rf'\(pid {holder.pid}\) is busy with "train"'), workspace.lock("train"):
        pass
    with workspace.lock("push"):
        pass
    os.kill(holder.pid, signal.SIGKILL)
    holder.communicate()
    with workspace.lock("train"):
        pass


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "file"
    write_bytes(target, b"old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_bytes(target, b"new")
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
