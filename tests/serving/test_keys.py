"""Keys: shown once, kept as hashes, in a file that is its owner's alone."""

from __future__ import annotations

import base64
import hashlib
import json
import zipfile
from pathlib import Path

import pytest

import emolab
from emolab.errors import DataError, UnknownName
from emolab.serving.keys import PREFIX, KeyFile
from emolab.workspace import Workspace


def test_a_key_has_32_random_bytes_and_only_its_hash_is_kept(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "serving" / "keys.json")
    key, other = file.add("ann"), file.add("bob")
    assert key != other
    assert len(base64.urlsafe_b64decode(key.removeprefix(PREFIX) + "=")) == 32
    text = file.path.read_text()
    assert key not in text
    assert json.loads(text)["keys"][0]["digest"] == hashlib.sha256(key.encode()).hexdigest()
    assert file.path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in file.all()] == ["ann", "bob"]
    assert (file.who(key), file.who(other), file.who(key[:-1]), file.who("")) == ("ann", "bob", None, None)


def test_a_revoked_key_is_refused_at_once_by_whoever_has_the_file_open(tmp_path: Path) -> None:
    server, owner = KeyFile(tmp_path / "keys.json"), KeyFile(tmp_path / "keys.json")
    assert server.all() == ()
    key = owner.add("ann")
    assert server.who(key) == "ann"
    assert owner.revoke("ann").name == "ann"
    assert server.who(key) is None


def test_names_are_unique_and_known(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "keys.json")
    file.add("ann")
    with pytest.raises(DataError, match='There is a key "ann" already'):
        file.add("ann")
    with pytest.raises(UnknownName, match='Unknown key "anne"'):
        file.revoke("anne")
    for name in ("", "a\nb", "x" * 65):
        with pytest.raises(DataError, match="1 to 64 printable"):
            file.add(name)
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".lock"] == ["keys.json"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "other"}', '{"format": "emolab-keys/1", "keys": [1]}'])
def test_a_damaged_file_opens_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "keys.json").write_text(text)
    with pytest.raises(DataError, match="no file of keys"):
        KeyFile(tmp_path / "keys.json").who("x")


def test_keys_in_python_and_no_backup_brings_a_revoked_one_back(workspace: Workspace, tmp_path: Path) -> None:
    made = emolab.add_serve_key(workspace, "ann")
    assert [key.name for key in emolab.serve_keys(workspace)] == ["ann"]
    emolab.backup(workspace, tmp_path / "kept.zip")
    with zipfile.ZipFile(tmp_path / "kept.zip") as kept:
        assert not [name for name in kept.namelist() if "keys.json" in name]
    assert emolab.revoke_serve_key(workspace, "ann").name == "ann"
    assert len(emolab.serve_keys(workspace)) == 0
    assert made.key.startswith(PREFIX)
    with pytest.raises(emolab.ConfigError, match="no workspace whose keys"):
        emolab.serve_keys(None)
