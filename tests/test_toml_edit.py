"""Settings are written into a file that a person wrote without a change to anything else in it."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from emolab import toml_edit
from emolab.errors import ConfigError

FILE = """# mine
[project]
name = "a [training] day"  # not a section

[training]   # how
# lr = 1
lr = 0.5  # too high?
backbone = "tiny"

[serve]
port = 1
"""


def test_a_setting_changes_in_place_and_a_new_one_joins_its_section() -> None:
    made = toml_edit.edited(FILE, {"training.lr": 0.001, "training.mode": "head"})
    assert made == FILE.replace("lr = 0.5  #", "lr = 0.001  #").replace(
        'backbone = "tiny"\n', 'backbone = "tiny"\nmode = "head"\n'
    )


def test_a_section_that_is_not_there_is_added() -> None:
    made = toml_edit.edited('[project]\nname = "x"\n', {"training.size": 64, "training.tuning": False})
    assert made == '[project]\nname = "x"\n\n[training]\nsize = 64\ntuning = false\n'


@pytest.mark.parametrize("text", ["training = {lr = 1.0}\n", "training.lr = 1.0\n[serve]\nport = 1\n"])
def test_a_file_laid_out_otherwise_is_left_alone(text: str) -> None:
    tomllib.loads(text)
    with pytest.raises(ConfigError, match="laid out like this one"):
        toml_edit.edited(text, {"training.lr": 2.0})


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
def test_who_may_read_the_file_stays_as_it_is(mode: int, tmp_path: Path) -> None:
    file = tmp_path / "emolab.toml"
    file.write_text(FILE, encoding="utf-8")
    file.chmod(mode)
    toml_edit.write(file, {"training.lr": 0.001})
    assert file.stat().st_mode & 0o777 == mode


def test_a_link_stays_one_and_lines_end_as_they_did(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    place, link = tmp_path / "kept" / "faces.toml", tmp_path / "emolab.toml"
    place.write_bytes(FILE.replace("\n", "\r\n").encode())
    link.symlink_to(place)
    toml_edit.write(link, {"training.lr": 0.001, "training.mode": "head"})
    assert link.is_symlink()
    assert place.read_bytes().count(b"\r\n") == place.read_bytes().count(b"\n") == FILE.count("\n") + 1


@pytest.mark.parametrize("behind", ["# don't touch", "# \"a\" and 'b'", "#", "  # 1 # 2"])
def test_a_comment_behind_a_setting_stays(behind: str) -> None:
    made = toml_edit.edited(f'[training]\nbackbone = "a # b" {behind}\n', {"training.backbone": "tiny"})
    assert made == f'[training]\nbackbone = "tiny" {behind}\n'


def test_a_file_that_is_no_toml_is_refused() -> None:
    with pytest.raises(ConfigError, match="The file is no TOML now"):
        toml_edit.edited("[training\nlr = 1.0\n", {"training.lr": 2.0})
