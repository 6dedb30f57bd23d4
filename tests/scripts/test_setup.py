"""The set-up scripts: what they choose, what they say, and that they never ask in vain."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.paths import ROOT

SCRIPTS = sorted([*(ROOT / "scripts").glob("*.sh"), ROOT / ".ci" / "run"])


def shell(code: str, *, programs: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    """Run `code` after the set-up's functions, with the fake programs of a folder first on PATH."""
    environment = {name: value for name, value in os.environ.items() if name != "FIFTYONE_DATABASE_URI"}
    if programs is not None:
        environment["PATH"] = f"{programs}{os.pathsep}{environment['PATH']}"
    return subprocess.run(
        ["bash", "-uo", "pipefail", "-c", f". scripts/lib.sh; . scripts/mongodb.sh\n{code}"],
        cwd=ROOT, env={**environment, **env}, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
        timeout=60,
    )  # fmt: skip


def program(folder: Path, name: str, code: str) -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{code}\n")
    file.chmod(0o755)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_the_scripts_are_valid_bash(script: Path) -> None:
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0


def test_a_database_by_address_is_taken_as_it_is_and_not_repeated() -> None:
    done = shell("install_mongodb", FIFTYONE_DATABASE_URI="mongodb://ann:s3cret@db")
    assert done.returncode == 0
    assert "the server FIFTYONE_DATABASE_URI names" in done.stderr
    assert "s3cret" not in done.stdout + done.stderr


def test_a_new_mongod_on_path_is_taken(tmp_path: Path) -> None:
    program(tmp_path, "mongod", 'echo "db version v7.0.14"')
    done = shell("install_mongodb", programs=tmp_path)
    assert done.returncode == 0
    assert "mongod on PATH" in done.stderr


@pytest.mark.parametrize("says", ['echo "db version v4.4.1"', "exit 127", "echo something else"])
def test_an_old_or_broken_mongod_is_not(tmp_path: Path, says: str) -> None:
    program(tmp_path, "mongod", says)
    assert shell(f"mongod_works {tmp_path / 'mongod'}").returncode == 1


def test_without_root_and_sudo_nothing_is_installed_and_the_command_is_named(tmp_path: Path) -> None:
    program(tmp_path, "id", "echo 1000")
    program(tmp_path, "sudo", "exit 1")
    program(tmp_path, "apt-get", "echo must not run >&2; exit 99")
    done = shell("install_debian chromium; echo $?; ask_for chromium", programs=tmp_path)
    assert done.stdout == "1\nsudo apt-get update && sudo apt-get install -y chromium"
    assert "must not run" not in done.stderr


def test_an_update_that_fails_does_not_stop_the_installation(tmp_path: Path) -> None:
    log = tmp_path / "log"
    program(tmp_path, "id", "echo 0")
    program(
        tmp_path,
        "apt-get",
        f'echo "$*" >> {log}\ncase "$*" in *update*) exit 100;; esac; [ "$(grep -c install {log})" -ge 2 ]',
    )
    done = shell("install_debian libcurl4", programs=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "apt-get update did not finish; going on with the lists that arrived" in done.stderr
    assert [line.split()[-1] for line in log.read_text().splitlines()] == ["libcurl4", "update", "libcurl4"]


def test_an_unknown_use_is_refused() -> None:
    done = subprocess.run(["scripts/setup.sh", "dance"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert 'set-up stopped: unknown use "dance"' in done.stderr
