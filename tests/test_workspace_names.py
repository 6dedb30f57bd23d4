"""A workspace works in a folder of any name, and its catalog is always inside."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from emolab import config
from emolab.config import ProjectConfig
from emolab.labeling.sync.project import title_of
from emolab.workspace import Workspace, readable
from tests.support.calling import emolab
from tests.support.pictures import png, put

NAMES = (
    "q?mark",
    "a#b",
    "p%20q",
    "100%",
    "it's",
    'say "hi"',
    "back\\slash",
    "new\nline",
    "tab\there",
    "Ümläut 日本 😀",
    "[red]x",
    "a;b&c $HOME",
    "-dash",
    " spaces ",
    "\x7fdel",
    "e\x1b[31m",
    "caf\udce9",
    "???",
    ":memory:",
    "file:x?mode=ro",
    "x" * 200,
)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return put(tmp_path_factory.mktemp("photos"), {f"{seed}.png": png(seed) for seed in range(3)})


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_folder_of_any_name_holds_its_whole_workspace(tmp_path: Path, photos: Path, name: str) -> None:
    place = tmp_path / "place"
    place.mkdir()
    root = place / name
    for arguments in (("init", "--", root), ("-w", root, "collect", photos, "--faces", "off"), ("-w", root, "status")):
        said = emolab(*arguments)
        assert said.code == 0, said.err
    assert [path.name for path in place.iterdir()] == [name]
    assert (root / ".emolab" / "catalog.db").is_file()
    settings = Workspace.open(root).config
    assert settings.project.name.isprintable()
    assert 3 <= len(title_of(settings)) <= 50


@pytest.mark.parametrize("name", ['"', "\\", '\\"""', "a\nb", "\x00\x1f\x7f", "é 😀", "'''", "#", "\u2028", "{x}"])
def test_a_project_of_any_name_survives_the_settings_file(name: str) -> None:
    text = config.render(ProjectConfig(name=name, classes=("joy", "grief")))
    assert tomllib.loads(text)["project"]["name"] == name


@pytest.mark.parametrize(
    ("name", "shown"),
    [("faces", "faces"), ("a\nb", "a b"), ("a\x1b[31mb", "a [31mb"), ("caf\udce9", "caf\ufffd"), ("a\u202eb", "a b")],
)
def test_the_project_of_a_folder_has_a_name_that_can_be_read(name: str, shown: str) -> None:
    assert readable(name) == shown


def test_a_link_in_a_circle_is_said(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    said = emolab("-w", tmp_path / "a", "status")
    assert said.code == 1
    assert "is a link that leads in a circle" in said.err
