"""A catalog that is lost, damaged or strange is said by every command, and no new one is made over what is left."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from emolab.workspace import Workspace
from tests.support.calling import emolab, one_line
from tests.support.pictures import png, put


@pytest.fixture
def full(tmp_path: Path) -> Workspace:
    """A workspace with three samples."""
    photos = put(tmp_path / "photos", {f"{seed}.png": png(seed) for seed in range(3)})
    made = Workspace.init(tmp_path / "faces", classes=("happiness", "sadness", "neutral"))
    assert emolab("-w", made.root, "collect", photos, "--faces", "off").code == 0
    return made


def missing(file: Path) -> None:
    file.unlink()


def empty(file: Path) -> None:
    file.write_bytes(b"")


def without_tables(file: Path) -> None:
    file.unlink()
    with sqlite3.connect(file) as made:
        made.execute("PRAGMA user_version = 1")
    made.close()


def half(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:5000])


def zeros(file: Path) -> None:
    file.write_bytes(bytes(file.stat().st_size))


def text(file: Path) -> None:
    file.write_text("<html>not found</html>" * 100)


def schema(version: str) -> Callable[[Path], None]:
    def change(file: Path) -> None:
        with sqlite3.connect(file) as raw:
            raw.execute("UPDATE alembic_version SET version_num = ?", (version,))
        raw.close()

    return change


def a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


HARMS = [
    (missing, "is missing, although the workspace has media"),
    (empty, r"is empty (0 bytes), although the workspace has media"),
    (without_tables, "has no tables, although the workspace has media"),
    (half, "damaged"),
    (zeros, "damaged"),
    (text, "damaged: file is not a database"),
    (schema("0000"), 'its schema is "0000", which no emolab has written'),
    (schema("abc"), 'its schema is "abc", which no emolab has written'),
    (schema("9999"), "written by a newer emolab (schema 9999"),
    (a_folder, "it is a folder"),
]

COMMANDS = (
    ("status",),
    ("models", "list"),
    ("label", "status"),
    ("label", "aggregate"),
    ("suggest",),
    ("train",),
    ("label", "export"),
)


def harmed(workspace: Workspace, harm: Callable[[Path], None]) -> None:
    for end in ("-wal", "-shm"):
        workspace.catalog_file.with_name(f"catalog.db{end}").unlink(missing_ok=True)
    harm(workspace.catalog_file)


@pytest.mark.slow
@pytest.mark.parametrize(("harm", "words"), HARMS, ids=[words for _, words in HARMS])
def test_every_command_says_what_is_wrong_with_the_catalog(
    full: Workspace, harm: Callable[[Path], None], words: str
) -> None:
    harmed(full, harm)
    for command in COMMANDS:
        said = emolab("-w", full.root, *command)
        assert said.code == 1
        assert words in one_line(said), command
        assert "fix: " in said.err


@pytest.mark.slow
@pytest.mark.parametrize("harm", [missing, empty, without_tables])
def test_init_never_makes_a_catalog_over_what_is_left(full: Workspace, harm: Callable[[Path], None]) -> None:
    harmed(full, harm)
    before = full.catalog_file.stat().st_size if full.catalog_file.exists() else None
    said = emolab("init", full.root, "--classes", "happiness,sadness,neutral")
    assert said.code == 1
    assert "emolab restore FILE" in one_line(said)
    assert (full.catalog_file.stat().st_size if full.catalog_file.exists() else None) == before


@pytest.mark.parametrize("folder", ["media", "models", "snapshots"])
def test_what_remains_is_named(tmp_path: Path, folder: str) -> None:
    made = Workspace.init(tmp_path / "faces", classes=("happiness", "sadness"))
    made.catalog_file.unlink()
    put(made.state / folder, {"a": b"x"})
    assert f"although the workspace has {folder}." in one_line(emolab("-w", made.root, "status"))


def test_a_workspace_without_anything_in_it_gets_its_catalog_again(tmp_path: Path) -> None:
    made = Workspace.init(tmp_path / "faces", classes=("happiness", "sadness"))
    shutil.rmtree(made.state)
    assert emolab("init", made.root, "--classes", "happiness,sadness").code == 0
    assert emolab("-w", made.root, "status").code == 0


def test_a_new_catalog_beside_old_media_is_not_healthy(full: Workspace) -> None:
    aside = full.root / "aside"
    full.media.rename(aside)
    full.catalog_file.unlink()
    assert emolab("-w", full.root, "status").code == 0
    shutil.rmtree(full.media, ignore_errors=True)
    aside.rename(full.media)
    said = emolab("-w", full.root, "status", "--json")
    found = json.loads(said.out)
    assert (said.code, found["healthy"]) == (1, False)
    assert found["problems"] == [
        "the catalog knows no sample, but .emolab/media holds files: another catalog made them"
    ]
