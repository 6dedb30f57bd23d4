"""A workspace survives its destruction: one file, consistent while others write, every byte checked."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from emolab.catalog import samples
from emolab.errors import DataError, EmolabError
from emolab.loop.data.backup import manifest, restoring, writing
from emolab.records import Sample
from emolab.workspace import Workspace
from tests.support.calling import emolab, one_line, without_powers
from tests.support.pictures import png, put

CLASSES = ("happiness", "sadness", "neutral")


@pytest.fixture
def full(tmp_path: Path) -> Workspace:
    """A workspace with images, something like a model, and something like Label Studio's data."""
    photos = put(tmp_path / "photos", {f"{seed}.png": png(seed) for seed in range(5)})
    made = Workspace.init(tmp_path / "faces", classes=CLASSES)
    assert emolab("-w", made.root, "collect", photos, "--faces", "off").code == 0
    put(made.models / "m1", {"model.json": "{}", "weights.safetensors": bytes(range(256)) * 50})
    put(made.snapshots / "s1", {"samples.npy": b"n" * 300})
    put(made.cache, {"engines/x": b"c" * 100})
    put(
        made.studio,
        {"token": "secret-token", "server.json": "{}", "data/.env": "SECRET_KEY=abc", "data/media/a b.png": b"x"},
    )
    studio_database(made).close()
    return made


def studio_database(workspace: Workspace) -> sqlite3.Connection:
    connection = sqlite3.connect(workspace.studio / "data" / "label_studio.sqlite3", timeout=60)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE IF NOT EXISTS task (id INTEGER PRIMARY KEY, left INTEGER, right INTEGER)")
    connection.commit()
    return connection


def contents(root: Path) -> dict[str, bytes]:
    """Every file that a backup keeps, databases as their rows."""
    skipped = {f".emolab/{name}" for name in (*writing.REBUILT, *writing.NOT_KEPT)}
    found = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if not path.is_file() or any(name == skip or name.startswith(f"{skip}/") for skip in skipped):
            continue
        if name.startswith(".emolab-before") or name.endswith(("-wal", "-shm")):
            continue
        if name.endswith((".db", ".sqlite3")):
            with sqlite3.connect(path) as connection:
                found[name] = "\n".join(connection.iterdump()).encode()
            connection.close()
        else:
            found[name] = path.read_bytes()
    return found


def kept(full: Workspace, tmp_path: Path, *more: str) -> Path:
    file = tmp_path / "kept.backup"
    said = emolab("-w", full.root, "backup", file, *more)
    assert said.code == 0, said.err
    return file


def test_a_destroyed_workspace_comes_back_byte_for_byte(full: Workspace, tmp_path: Path) -> None:
    before = contents(full.root)
    file = kept(full, tmp_path)
    shutil.rmtree(full.root)
    said = emolab("restore", file, full.root)
    assert said.code == 0, said.err
    assert contents(full.root) == before
    assert emolab("-w", full.root, "status").code == 0
    assert stat.S_IMODE(full.state.stat().st_mode) == 0o700


def test_a_backup_is_for_its_owner_alone_and_leaves_out_the_token(full: Workspace, tmp_path: Path) -> None:
    said = emolab("-w", full.root, "backup", tmp_path / "b")
    assert stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o600
    assert "For you alone (mode 0600)" in said.err
    assert b"secret-token" not in (tmp_path / "b").read_bytes()
    with zipfile.ZipFile(tmp_path / "b") as archive:
        names = archive.namelist()
    assert ".emolab/studio/data/.env" in names
    assert not [name for name in names if "token" in name or "server.json" in name or "/cache/" in name]


@pytest.mark.slow
@pytest.mark.parametrize(
    "harm",
    [
        "catalog lost",
        "catalog empty",
        "catalog damaged",
        "state lost",
        "settings lost",
        "settings damaged",
        "model lost",
    ],
)
def test_a_damaged_workspace_is_replaced_and_kept_aside(full: Workspace, tmp_path: Path, harm: str) -> None:
    before = contents(full.root)
    file = kept(full, tmp_path)
    for end in ("-wal", "-shm"):
        full.catalog_file.with_name(f"catalog.db{end}").unlink(missing_ok=True)
    {
        "catalog lost": full.catalog_file.unlink,
        "catalog empty": lambda: full.catalog_file.write_bytes(b""),
        "catalog damaged": lambda: full.catalog_file.write_bytes(b"x" * 9000),
        "state lost": lambda: shutil.rmtree(full.state),
        "settings lost": (full.root / "emolab.toml").unlink,
        "settings damaged": lambda: (full.root / "emolab.toml").write_text("[[["),
        "model lost": lambda: shutil.rmtree(full.models),
    }[harm]()
    harmed = {path: path.stat().st_size for path in full.root.rglob("*") if path.is_file()}
    said = emolab("restore", file, full.root)
    assert said.code == 1
    assert "holds a workspace already" in one_line(said)
    assert {path: path.stat().st_size for path in full.root.rglob("*") if path.is_file()} == harmed
    said = emolab("restore", file, full.root, "--force", "--json")
    assert said.code == 0, said.err
    assert contents(full.root) == before
    aside = Path(json.loads(said.out)["before"])
    assert sorted(p.stat().st_size for p in aside.rglob("*") if p.is_file()) == sorted(harmed.values())
    assert emolab("-w", full.root, "status").code == 0


@pytest.mark.slow
@pytest.mark.parametrize("part", ["media", "studio"])
def test_a_part_that_is_left_out_is_said_and_stays_as_it_is(full: Workspace, tmp_path: Path, part: str) -> None:
    before = contents(full.root)
    file = tmp_path / "b"
    said = emolab("-w", full.root, "backup", file, "--without", part)
    assert f"left out: {part}" in said.err
    with zipfile.ZipFile(file) as archive:
        assert not [name for name in archive.namelist() if name.startswith(f".emolab/{part}/")]
    full.catalog_file.unlink()
    said = emolab("restore", file, full.root, "--force")
    assert said.code == 0, said.err
    assert f"not in the backup: {part}" in said.err
    assert contents(full.root) == before


def test_the_log_of_the_old_catalog_never_meets_the_new_one(full: Workspace, tmp_path: Path) -> None:
    file = kept(full, tmp_path)
    with sqlite3.connect(full.catalog_file) as busy:
        busy.execute("UPDATE samples SET source = 'later'")
        busy.commit()
        for end in ("-wal", "-shm"):
            shutil.copy(full.state / f"catalog.db{end}", tmp_path / f"log{end}")
    busy.close()
    for end in ("-wal", "-shm"):
        shutil.copy(tmp_path / f"log{end}", full.state / f"catalog.db{end}")
    assert emolab("restore", file, full.root, "--force").code == 0
    with full.catalog() as catalog, catalog.connect() as conn:
        assert samples.count_by(conn, "source") == {"collected": 5}


@pytest.mark.slow
def test_a_backup_made_while_others_write_is_of_one_moment(full: Workspace, tmp_path: Path) -> None:
    stop, troubles = threading.Event(), []

    def write_catalog() -> None:
        number = 0
        with Workspace.open(full.root).catalog() as catalog:
            while not stop.is_set():
                with catalog.begin() as tx:  # both or neither
                    ids = [f"{letter}{number:063d}" for letter in "ab"]
                    for sample in ids:
                        put(full.media, {f"{sample}.png": b"x"})
                    samples.add(tx, [Sample(id=i, media=f".emolab/media/{i}.png") for i in ids])
                number += 1

    def write_studio() -> None:
        connection = studio_database(full)
        while not stop.is_set():
            with connection:
                connection.execute("INSERT INTO task (left, right) VALUES (1, 0)")
                connection.execute("UPDATE task SET right = 1 WHERE right = 0")
        connection.close()

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as trouble:
            troubles.append(trouble)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in (write_catalog, write_studio)]
    for thread in threads:
        thread.start()
    try:
        for number in range(3):
            file = tmp_path / f"{number}.backup"
            done = writing.backup(full, file)
            assert done.missing == []
            copy = tmp_path / f"copy {number}"
            restoring.restore(file, copy)
            there = Workspace.open(copy)
            with there.catalog() as catalog, catalog.connect() as conn:
                assert there.problems(catalog) == []
                assert (samples.count(conn) - 5) % 2 == 0
                media = [row[0] for row in conn.exec_driver_sql("SELECT media FROM samples")]
            assert [name for name in media if not (copy / name).is_file()] == []
            connection = studio_database(there)
            assert connection.execute("SELECT count(*) FROM task WHERE left != right").fetchone() == (0,)
            connection.close()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert troubles == []


# -- damaged backups ---------------------------------------------------------------------------------------------------


def unchanged(root: Path, before: dict[str, bytes]) -> bool:
    return contents(root) == before and not list(root.glob(".emolab-*"))


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.7, 0.99, 0.9999])
def test_a_backup_that_is_cut_changes_nothing(full: Workspace, tmp_path: Path, share: float) -> None:
    before = contents(full.root)
    data = kept(full, tmp_path).read_bytes()
    cut = tmp_path / "cut"
    cut.write_bytes(data[: int(len(data) * share)])
    for more in (("--force",), ("--dry-run",)):
        said = emolab("restore", cut, full.root, *more)
        assert said.code == 1
        assert str(cut) in one_line(said)
    assert unchanged(full.root, before)


@pytest.mark.slow
def test_no_flipped_bit_gets_through(full: Workspace, tmp_path: Path) -> None:
    before = contents(full.root)
    file = kept(full, tmp_path)
    data = file.read_bytes()
    rng = random.Random(0)
    start = data.rindex(b"PK\x05\x06") - 3000  # the list of files, where a zip trusts every byte
    places = [rng.randrange(len(data)) for _ in range(60)] + [rng.randrange(start, len(data)) for _ in range(60)]
    refused = 0
    for place in places:
        changed = bytearray(data)
        changed[place] ^= 1 << rng.randrange(8)
        bad = tmp_path / "bad"
        bad.write_bytes(changed)
        target = tmp_path / "out"
        try:
            restoring.restore(bad, target)
        except EmolabError:
            refused += 1
            assert not list(target.iterdir()) if target.exists() else True
        else:  # a bit that says nothing, such as a date
            assert contents(target) == before
        shutil.rmtree(target, ignore_errors=True)
    assert refused > len(places) / 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "content",
    [b"", b"text", b"PK\x03\x04", b"SQLite format 3\x00" * 100, os.urandom(5000), b"PK\x05\x06" + bytes(18)],
)
def test_a_foreign_file_is_said_to_be_one(full: Workspace, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "photo.jpg"
    file.write_bytes(content)
    before = contents(full.root)
    said = emolab("restore", file, full.root, "--force")
    assert said.code == 1
    assert f"{file} is no backup of emolab" in one_line(said)
    assert unchanged(full.root, before)


def rewritten(file: Path, target: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return target


def edit(kept_in: dict[str, bytes], **values: object) -> None:
    kept_in[manifest.NAME] = json.dumps({**json.loads(kept_in[manifest.NAME]), **values}).encode()


def add(members: dict[str, bytes], name: str) -> None:
    members[name] = b"evil"
    listed = json.loads(members[manifest.NAME])["members"]
    edit(members, members=[*listed, {"name": name, "size": 4, "sha256": hashlib.sha256(b"evil").hexdigest()}])


CHANGES: list[tuple[Callable[[dict[str, bytes]], object], str]] = [
    (lambda m: edit(m, format=2, emolab="9.0"), "was written by a newer emolab (9.0, format 2"),
    (lambda m: edit(m, schema="9999"), "holds the catalog of a newer emolab (schema 9999"),
    (lambda m: edit(m, format="x"), "emolab-backup.json is not readable"),
    (lambda m: m.update({manifest.NAME: b"{"}), "is damaged"),
    (lambda m: m.update({manifest.NAME: b"[]"}), "emolab-backup.json is not readable"),
    (lambda m: edit(m, members=[]), "it holds other files than it says"),
    (lambda m: m.pop("emolab.toml"), "it holds other files than it says"),
    (lambda m: m.update({"more": b"x"}), "it holds other files than it says"),
    (lambda m: m.update({"emolab.toml": b"other"}), "emolab.toml is not what was kept"),
    (lambda m: m.update({".emolab/catalog.db": m[".emolab/catalog.db"] + b"x"}), "catalog.db is not what was kept"),
    (lambda m: add(m, "../evil"), "../evil leads out of the workspace"),
    (lambda m: add(m, "/tmp/evil"), "leads out of the workspace"),
    (lambda m: add(m, ".emolab/../../evil"), "leads out of the workspace"),
    (lambda m: add(m, ".bashrc"), ".bashrc leads out of the workspace"),
    (lambda m: m.pop(manifest.NAME), "is no backup of emolab: it has no emolab-backup.json"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("change", "words"), CHANGES, ids=[words for _, words in CHANGES])
def test_a_backup_that_was_changed_is_refused(
    full: Workspace, tmp_path: Path, change: Callable[[dict[str, bytes]], object], words: str
) -> None:
    before = contents(full.root)
    bad = rewritten(kept(full, tmp_path), tmp_path / "bad", change)
    for more in (("--force",), ("--dry-run",)):
        said = emolab("restore", bad, full.root, *more)
        assert said.code == 1
        assert words in one_line(said)
    assert unchanged(full.root, before)
    assert not (tmp_path / "evil").exists()


# -- when something goes wrong on the way ------------------------------------------------------------------------------


def test_a_file_that_is_there_stays_without_force(full: Workspace, tmp_path: Path) -> None:
    file = put(tmp_path, {"mine": "precious"}) / "mine"
    said = emolab("-w", full.root, "backup", file)
    assert (said.code, file.read_text()) == (1, "precious")
    assert "is there already" in one_line(said)
    assert emolab("-w", full.root, "backup", file, "--force").code == 0
    assert emolab("restore", file, "--dry-run").code == 0


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["catalog", "file", "sync"])
@pytest.mark.parametrize("trouble", [KeyboardInterrupt(), OSError(28, "No space left on device", "x")], ids=repr)
def test_a_backup_that_is_stopped_leaves_the_old_one_and_no_litter(
    full: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str, trouble: BaseException
) -> None:
    place = tmp_path / "backups"
    place.mkdir()
    file = place / "b"
    assert emolab("-w", full.root, "backup", file).code == 0
    old = file.read_bytes()

    def fail(*_: object) -> None:
        raise trouble

    if moment == "sync":
        monkeypatch.setattr(writing.os, "fsync", fail)
    else:
        monkeypatch.setattr(writing, "_copy_sqlite" if moment == "catalog" else "_put", fail)
    said = emolab("-w", full.root, "backup", file, "--force")
    assert said.code == (130 if isinstance(trouble, KeyboardInterrupt) else 1)
    assert "The disk is full" in said.err or "stopped" in said.err
    assert file.read_bytes() == old
    assert [path.name for path in place.iterdir()] == ["b"]


@pytest.mark.slow
@pytest.mark.parametrize("after", range(4))
@pytest.mark.parametrize("trouble", [KeyboardInterrupt(), OSError(28, "No space left on device", "x")], ids=repr)
def test_a_restore_that_is_stopped_changes_nothing(
    full: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int, trouble: BaseException
) -> None:
    file = kept(full, tmp_path)
    before = contents(full.root)
    rename, calls = Path.rename, []

    def fail_later(self: Path, target: Path) -> Path:
        calls.append(self)
        if len(calls) == after + 1:
            raise trouble
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_later)
    said = emolab("restore", file, full.root, "--force")
    monkeypatch.undo()
    assert said.code == (130 if isinstance(trouble, KeyboardInterrupt) else 1)
    assert contents(full.root) == before
    assert emolab("-w", full.root, "status").code == 0


def test_too_little_space_is_said_before_anything_is_written(
    full: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = kept(full, tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 99, 1))  # type: ignore[attr-defined]
    said = emolab("-w", full.root, "backup", tmp_path / "second")
    assert "The backup needs" in one_line(said)
    assert not (tmp_path / "second").exists()
    said = emolab("restore", file, tmp_path / "new")
    assert "The backup needs" in one_line(said)
    assert not list((tmp_path / "new").iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("place", [".emolab/b", ".emolab/media/b", "absent/b"])
def test_a_place_that_makes_no_sense_is_refused(full: Workspace, place: str) -> None:
    said = emolab("-w", full.root, "backup", full.root / place)
    assert said.code == 1
    one_line(said)
    assert not (full.root / place).exists()


def test_a_catalog_on_a_server_is_not_forgotten_in_silence(full: Workspace, tmp_path: Path) -> None:
    settings = full.root / "emolab.toml"
    settings.write_text(settings.read_text() + '[catalog]\nurl = "postgresql+psycopg://ann:pw@db/emolab"\n')
    said = emolab("-w", full.root, "backup", tmp_path / "b")
    assert said.code == 1
    assert "a postgresql database, which a backup of files does not hold" in one_line(said)
    assert "pw" not in said.err
    assert emolab("-w", full.root, "backup", tmp_path / "b", "--without", "catalog").code == 0
    said = emolab("restore", tmp_path / "b", tmp_path / "new")
    assert said.code == 0
    assert "not in the backup: catalog" in said.err
    assert not (tmp_path / "new" / ".emolab" / "catalog.db").exists()


def test_a_catalog_elsewhere_comes_back_into_the_workspace_and_that_is_said(full: Workspace, tmp_path: Path) -> None:
    full.catalog_file.rename(tmp_path / "elsewhere.db")
    settings = full.root / "emolab.toml"
    plain = settings.read_text()
    settings.write_text(plain + f'[catalog]\nurl = "sqlite:///{tmp_path}/elsewhere.db"\n')
    file = kept(full, tmp_path)
    said = emolab("restore", file, tmp_path / "new")
    assert "its settings name another catalog" in said.err
    (tmp_path / "new" / "emolab.toml").write_text(plain)
    found = json.loads(emolab("-w", tmp_path / "new", "status", "--json").out)
    assert (found["samples"], found["healthy"]) == (5, True)


def test_a_damaged_catalog_is_not_kept_as_if_it_were_whole(full: Workspace, tmp_path: Path) -> None:
    for end in ("-wal", "-shm"):
        full.catalog_file.with_name(f"catalog.db{end}").unlink(missing_ok=True)
    data = bytearray(full.catalog_file.read_bytes())
    data[20_000:60_000] = bytes(40_000)
    full.catalog_file.write_bytes(data)
    said = emolab("-w", full.root, "backup", tmp_path / "b")
    assert said.code == 1
    one_line(said)
    assert not (tmp_path / "b").exists()


def test_images_that_were_lost_before_are_named(full: Workspace, tmp_path: Path) -> None:
    with full.catalog() as catalog, catalog.connect() as conn:
        lost = conn.exec_driver_sql("SELECT media FROM samples").scalar()
    full.locate(str(lost)).unlink()
    said = emolab("-w", full.root, "backup", tmp_path / "b")
    assert said.code == 0
    assert "lost before this backup: 1 image of the catalog, .emolab/media/" in " ".join(said.err.split())


def test_a_workspace_in_use_is_not_replaced(full: Workspace, tmp_path: Path) -> None:
    file = kept(full, tmp_path)
    code = (
        "import sys; from pathlib import Path; from emolab.workspace import Workspace\n"
        "with Workspace.open(Path(sys.argv[1])).lock('train'):\n    print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(full.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    said = emolab("restore", file, full.root, "--force")
    assert 'busy with "train"' in one_line(said)
    holder.communicate()
    assert emolab("restore", file, full.root, "--force").code == 0


@pytest.mark.slow
def test_a_read_only_workspace_can_be_backed_up(full: Workspace, tmp_path: Path) -> None:
    for path in (full.root, *full.root.rglob("*")):
        path.chmod(path.stat().st_mode & ~0o222)
    said = without_powers("-w", full.root, "backup", tmp_path / "b")
    for path in (full.root, *full.root.rglob("*")):
        path.chmod(path.stat().st_mode | 0o700)
    assert said.code == 0, said.err
    restoring.restore(tmp_path / "b", tmp_path / "new")
    assert contents(tmp_path / "new").keys() == contents(full.root).keys()


def test_linked_folders_are_kept_as_what_they_lead_to(full: Workspace, tmp_path: Path) -> None:
    full.media.rename(tmp_path / "large disk")
    full.media.symlink_to(tmp_path / "large disk")
    (full.models / "loop").symlink_to(full.models)
    os.mkfifo(full.models / "pipe")
    file = kept(full, tmp_path)
    restoring.restore(file, tmp_path / "new")
    there = Workspace.open(tmp_path / "new")
    with there.catalog() as catalog:
        assert there.problems(catalog) == []
    assert len([path for path in there.media.rglob("*.png")]) == 5


def test_what_a_backup_says_is_data_with_json(full: Workspace, tmp_path: Path) -> None:
    said = json.loads(emolab("-w", full.root, "backup", tmp_path / "b", "--json").out)
    assert (said["samples"], said["left_out"], said["missing"], said["vanished"]) == (5, [], [], [])
    checked = json.loads(emolab("restore", tmp_path / "b", "--dry-run", "--json").out)
    assert (checked["samples"], checked["files"]) == (5, said["files"])


def test_a_damaged_member_is_named_by_the_library_too(full: Workspace, tmp_path: Path) -> None:
    bad = rewritten(kept(full, tmp_path), tmp_path / "bad", lambda m: m.update({"emolab.toml": b"x"}))
    with pytest.raises(DataError, match=r"emolab\.toml is not what was kept"):
        restoring.check_backup(bad)
