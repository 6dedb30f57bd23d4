"""Permissions, read-only disks, full disks and addresses that lead nowhere: one line and the way out."""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from emolab.cli.ui import system_errors
from emolab.datasets.collect.input_ledger import InputLedger
from emolab.errors import ConfigError, EmolabError
from emolab.labeling.server.address import checked
from emolab.workspace import Workspace
from tests.support.calling import Said, emolab, one_line, without_powers
from tests.support.pictures import png, put

NOBODY = 65534


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return put(tmp_path / "photos", {f"{seed}.png": png(seed) for seed in range(3)})


@pytest.fixture
def full(tmp_path: Path, photos: Path) -> Workspace:
    made = Workspace.init(tmp_path / "faces", classes=("happiness", "sadness", "neutral"))
    assert emolab("-w", made.root, "collect", photos, "--faces", "off").code == 0
    return made


def protect(root: Path, bits: int = 0o222) -> None:
    """Take permission ``bits`` away from everything below ``root`` (default: writing)."""
    for path in (root, *root.rglob("*")):
        path.chmod(path.stat().st_mode & ~bits)


@pytest.fixture
def readable(full: Workspace) -> Iterator[Workspace]:
    protect(full.root)
    yield full
    for path in (full.root, *full.root.rglob("*")):
        path.chmod(path.stat().st_mode | 0o700)


@pytest.mark.slow
@pytest.mark.parametrize("command", [("status",), ("models", "list"), ("label", "status"), ("label", "export")])
def test_a_read_only_workspace_can_be_looked_at(readable: Workspace, command: tuple[str, ...]) -> None:
    said = without_powers("-w", readable.root, *command)
    assert said.code == 0, said.err


@pytest.mark.slow
@pytest.mark.parametrize("log", ["none", "empty", "full", "full without its index"])
def test_a_read_only_catalog_shows_what_stands_in_its_log(tmp_path: Path, log: str, photos: Path) -> None:
    """A copy of a workspace in use has a write-ahead log, which holds the newest samples."""
    made = Workspace.init(tmp_path / "faces", classes=("happiness", "sadness", "neutral"))
    assert emolab("-w", made.root, "collect", photos, "--faces", "off").code == 0
    with sqlite3.connect(made.catalog_file) as busy:
        busy.execute("PRAGMA wal_autocheckpoint=0")
        busy.execute("UPDATE samples SET source = 'from the log'")
        busy.commit()
        copy = tmp_path / "copy"
        (copy / ".emolab").mkdir(parents=True)
        for name in ("emolab.toml", ".emolab/catalog.db", ".emolab/catalog.db-wal", ".emolab/catalog.db-shm"):
            (copy / name).write_bytes((made.root / name).read_bytes())
    busy.close()
    if log == "none":
        (copy / ".emolab/catalog.db-wal").unlink()
    if log == "empty":
        (copy / ".emolab/catalog.db-wal").write_bytes(b"")
    if log != "full":
        (copy / ".emolab/catalog.db-shm").unlink()
    protect(copy)
    said = without_powers("-w", copy, "status", "--json")
    assert said.code == 0, said.err
    assert ("from the log" in said.out) == log.startswith("full")


@pytest.mark.fiftyone
@pytest.mark.slow
def test_a_read_only_workspace_opens_in_fiftyone(readable: Workspace, tmp_path: Path) -> None:
    said = without_powers("-w", readable.root, "inspect", "--no-app", "--json", env={"XDG_CACHE_HOME": str(tmp_path)})
    assert said.code == 0, said.err
    assert '"samples": 3' in said.out


WRITERS = (
    ("collect", "PHOTOS", "--faces", "off"),
    ("label", "name", "ann", "Ann"),
    ("models", "promote", "x"),
    ("studio", "up"),
    ("init", "."),
    ("merge", "image_folder", "LABELLED", "--map", "MAP"),
)


@pytest.mark.slow
@pytest.mark.parametrize("command", WRITERS, ids=" ".join)
def test_a_command_that_writes_says_in_one_line_that_it_may_not(
    readable: Workspace, photos: Path, command: tuple[str, ...], tmp_path: Path
) -> None:
    new = put(tmp_path / "new", {f"{seed}.png": png(seed) for seed in range(5, 8)})
    labelled = put(tmp_path / "labelled", {f"{name}/{seed}.png": png(seed) for seed, name in enumerate(("a", "b"))})
    map_file = put(tmp_path, {"map.toml": 'a = "happiness"\nb = "sadness"\n'}) / "map.toml"
    places = {"PHOTOS": str(new), "LABELLED": str(labelled), "MAP": str(map_file)}
    words = [places.get(word, word) for word in command]
    where = readable.root if command[0] == "init" else tmp_path
    said = without_powers("-w", readable.root, *words, cwd=where)
    if command[0] == "init":  # the workspace is there already, with other classes
        words = ["init", ".", "--classes", "happiness,sadness,neutral"]
        assert without_powers(*words, cwd=where).code == 0
        return
    assert said.code == 1
    one_line(said)


@pytest.mark.slow
@pytest.mark.parametrize("command", [("status",), ("models", "list"), ("collect", "PHOTOS"), ("train",), ("suggest",)])
@pytest.mark.parametrize("hidden", ["emolab.toml", ".emolab", ".emolab/catalog.db"])
def test_what_belongs_to_somebody_else_is_said_with_both_names(
    full: Workspace, photos: Path, command: tuple[str, ...], hidden: str
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    target = full.root / hidden
    target.chmod(0o700)
    os.chown(target, NOBODY, NOBODY)
    said = without_powers("-w", full.root, *(str(photos) if word == "PHOTOS" else word for word in command))
    assert said.code == 1
    words = one_line(said)
    assert "nobody" in words or "no permission" in words


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "/etc/shadow"), "No permission for /etc/shadow"),
        (PermissionError(errno.EPERM, "Operation not permitted", "/x/y"), "No permission for /x/y"),
        (
            OSError(errno.EROFS, "Read-only file system", "/cd/x"),
            "/cd/x cannot be written: the file system is read-only",
        ),
        (OSError(errno.ENOSPC, "No space left on device", "/w/x"), "The disk is full: /w/x could not be written"),
        (OSError(errno.EDQUOT, "Quota exceeded"), "The disk is full: a file could not be written"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "x" * 300), "cannot be used: File name too long"),
        (OSError(errno.EMFILE, "Too many open files", "/a"), "/a cannot be used: Too many open files"),
        (OSError(errno.EIO, "Input/output error", "/a"), "restore a backup"),
        (OSError(errno.ESTALE, "Stale file handle", "/nfs/a"), "mount it again"),
        (FileNotFoundError(errno.ENOENT, "No such file", b"/gone"), "/gone cannot be used"),
    ],
)
def test_what_the_system_says_becomes_one_line_with_a_way_out(error: OSError, words: str) -> None:
    said = system_errors.explained(error)
    assert said is not None
    assert words in str(said)
    assert said.hint


@pytest.mark.parametrize("error", [OSError("odd"), OSError(errno.EINVAL, "Invalid argument"), ConnectionError("x")])
def test_what_may_be_a_fault_of_emolab_keeps_its_traceback(error: OSError) -> None:
    assert system_errors.explained(error) is None


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("database or disk is full", "The disk is full: "),
        ("disk I/O error", "delete it and run the same command again"),
        ("attempt to write a readonly database", "delete it and run the same command again"),
        ("database is locked", "delete it and run the same command again"),
    ],
)
def test_the_ledger_of_seen_files_says_what_stops_it(tmp_path: Path, reason: str, words: str) -> None:
    class Failing:
        def __enter__(self) -> Failing:
            return self

        def __exit__(self, *exc: object) -> None: ...

        def executemany(self, *_: object) -> None:
            raise sqlite3.OperationalError(reason)

        def close(self) -> None: ...

    with InputLedger(tmp_path / "seen.db", settings="x") as ledger:
        ledger._connection.close()
        ledger._connection = Failing()  # type: ignore[assignment]
        with pytest.raises(EmolabError, match=words):
            ledger.add([("a", ["00" * 32])])


@pytest.mark.parametrize("content", [b"no database" * 1000, b"SQLite format 3\x00" + bytes(5000)])
def test_a_damaged_ledger_of_seen_files_is_made_again(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "seen.db").write_bytes(content)
    with InputLedger(tmp_path / "seen.db", settings="x") as ledger:
        ledger.add([("a", ["00" * 32])])
        assert ledger.find(["a", "b"]) == [("00" * 32,), None]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://studio:99999", "out of range"),
        ("http://studio:port", "Port"),
        ("http://studio:-1", "Port"),
        ("http://studio:0", "there is no port 0"),
        ("http://[::1", "Invalid IPv6 URL"),
        ("http://", "names no host"),
        ("studio:8080", "does not start with http://"),
        ("ftp://studio", "does not start with http://"),
        ("http://my studio", "a space or a control character"),
        ("http://ann:secret@studio", "name or password"),
    ],
)
def test_an_address_that_is_none_is_said_with_where_it_was_set(
    url: str, why: str, full: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match=why) as caught:
        checked(url, "labeling.url")
    assert "labeling.url" in str(caught.value)
    assert "secret" not in str(caught.value)
    monkeypatch.setenv("LABEL_STUDIO_URL", url)
    for command in (("label", "push", "-n", "1"), ("label", "pull"), ("studio", "token")):
        said: Said = emolab("-w", full.root, *command)
        if said.code != 2:  # no such command
            assert "$LABEL_STUDIO_URL" in one_line(said)


@pytest.mark.slow
@pytest.mark.fiftyone
@pytest.mark.parametrize(
    "uri",
    [
        "mongodb://127.0.0.1:9",
        "mongodb://ann:s3cret@127.0.0.1:9/x",
        "mongodb://127.0.0.1:port",
        "mongodb://",
        "nonsense",
        "mongodb+srv://nowhere.invalid",
    ],
)
def test_a_database_that_nobody_answers_is_one_line_within_seconds(
    full: Workspace, monkeypatch: pytest.MonkeyPatch, uri: str
) -> None:
    monkeypatch.setenv("FIFTYONE_DATABASE_URI", uri)
    begun = time.monotonic()
    said = emolab("-w", full.root, "inspect", "--no-app")
    assert said.code == 1
    assert "FIFTYONE_DATABASE_URI" in one_line(said)
    assert "s3cret" not in said.err
    assert time.monotonic() - begun < 60  # MongoDB's own patience would be 68 s; a busy machine needs some of it


@pytest.mark.slow
@pytest.mark.parametrize(
    "call",
    [
        ("collect", "PHOTOS", "--consent", "caf\udce9"),
        ("collect", "PHOTOS", "--group-by", "caf\udce9"),
        ("label", "name", "ann", "caf\udce9"),
        ("label", "push", "--project", "caf\udce9"),
        ("models", "promote", "x", "--alias", "caf\udce9"),
        ("merge", "image_folder", "PHOTOS", "--name", "caf\udce9"),
        ("status", "--set", "labeling.project=caf\udce9"),
        ("suggest", "--strategy", "caf\udce9"),
        ("inspect", "--pull", "--annotator", "caf\udce9"),
    ],
    ids=ascii,
)
def test_an_argument_that_is_no_text_is_wrong_usage(full: Workspace, photos: Path, call: tuple[str, ...]) -> None:
    said = emolab("-w", full.root, *(str(photos) if word == "PHOTOS" else word for word in call))
    assert said.code == 2
    assert 'caf\\xe9" is no UTF-8 text.' in said.err


@pytest.mark.slow
def test_files_may_have_names_that_are_no_text(full: Workspace, tmp_path: Path) -> None:
    put(tmp_path / "in", {"caf\udce9.png": png(9)})
    said = emolab("-w", full.root, "collect", tmp_path / "in" / "caf\udce9.png", "--faces", "off")
    assert said.code == 0, said.err
    assert emolab("-w", full.root, "label", "export", tmp_path / "caf\udce9.csv").code == 0
    assert emolab("-w", full.root, "backup", tmp_path / "caf\udce9.backup").code == 0


@pytest.mark.slow
@pytest.mark.parametrize("text", ['training.weights = "a\\u0000b"', 'catalog.url = "sqlite:///a\\u0000b"'])
def test_a_zero_byte_in_the_settings_is_refused(full: Workspace, text: str) -> None:
    settings = full.root / "emolab.toml"
    section, _, rest = text.partition(".")
    settings.write_text(settings.read_text() + f"[{section}]\n{rest}\n")
    assert "expected text" in one_line(emolab("-w", full.root, "status"))
