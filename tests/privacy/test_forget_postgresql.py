"""``emolab forget`` on a catalog in PostgreSQL: nothing is left in the server's files but its write-ahead log."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from sqlalchemy import create_engine, text

import emolab
from emolab.catalog import Catalog, votes
from emolab.catalog.privacy import server_pages
from emolab.catalog.privacy.tombstones import unfinished
from emolab.catalog.storage import schema
from emolab.errors import EmolabError
from emolab.loop.operate.forgetting import scrub
from emolab.records import Vote
from emolab.workspace import Workspace
from tests.support.calling import emolab as run
from tests.support.databases import make_database
from tests.support.held_people import EACH, PEOPLE, Needle, crowd, files, needles, people, traces_left
from tests.support.server_files import LOG, asked, pages_left
from tests.support.server_files import run as tell

WHO, OTHERS = PEOPLE[0], PEOPLE[1:]


class Made(NamedTuple):
    """A workspace whose catalog is the database ``name`` on ``server``."""

    workspace: Workspace
    server: str
    name: str

    @property
    def url(self) -> str:
        return f"{self.server}/{self.name}"


@pytest.fixture(scope="module")
def images(postgresql: str, tmp_path_factory: pytest.TempPathFactory) -> Made:
    return full(postgresql, tmp_path_factory.mktemp("images"), "image")


@pytest.fixture(scope="module")
def sounds(postgresql: str, tmp_path_factory: pytest.TempPathFactory) -> Made:
    pytest.importorskip("soundfile")
    return full(postgresql, tmp_path_factory.mktemp("sounds"), "audio")


def full(server: str, root: Path, modality: str) -> Made:
    """Three people in every place; tests take a copy."""
    name = f"held{time.time_ns()}"
    make_database(server, f"{name} TEMPLATE new")
    made = Made(crowd(root, modality, catalog_url=f"{server}/{name}"), server, name)
    tell(made.url, "ANALYZE")  # the server keeps values of the tables as statistics
    return made


def copy_of(made: Made, folder: Path) -> Made:
    name = f"t{time.time_ns()}"
    make_database(made.server, f"{name} TEMPLATE {made.name}")
    shutil.copytree(made.workspace.root, folder / "held")
    settings = folder / "held" / "emolab.toml"
    settings.write_text(settings.read_text(encoding="utf-8").replace(made.name, name), encoding="utf-8")
    return Made(Workspace.open(folder / "held"), made.server, name)


@pytest.fixture
def held(images: Made, tmp_path: Path) -> Made:
    return copy_of(images, tmp_path)


def left(made: Made, wanted: list[Needle]) -> dict[str, set[str]]:
    """What is left in the server's files, beside the log, and below the workspace."""
    found = pages_left(made.url, wanted)
    found.pop(LOG, None)
    return found | traces_left(made.workspace.root, wanted)


@pytest.mark.parametrize("kind", ["images", "sounds"])
def test_no_page_of_the_server_keeps_a_person_and_others_keep_all(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    held = copy_of(request.getfixturevalue(kind), tmp_path)
    wanted, kept = needles(held.workspace, WHO), needles(held.workspace, OTHERS[0])
    before, others = pages_left(held.url, wanted), pages_left(held.url, kept)
    places = {"samples", "votes", "events", "models", "consents", "pg_statistic", "ix_samples_group", "uq_samples_id"}
    assert before.keys() >= places
    emolab.forget(held.workspace, subjects=OTHERS[1])  # what is left of one is not looked for among the others
    done = emolab.forget(held.workspace, subjects=WHO)
    assert left(held, wanted) == {}
    after = pages_left(held.url, kept)
    assert {name for name in others if others[name] - after.get(name, set())} <= {"pg_statistic", LOG}
    assert done.to_do == [] and "write-ahead log of the PostgreSQL server" in done.unreached[0]
    with held.workspace.catalog() as catalog:
        assert catalog.problems() == catalog.miscounts() == []
    assert sorted(people(held.workspace).values()) == [OTHERS[0]] * EACH


def test_the_log_is_overwritten_by_what_the_page_says(held: Made) -> None:
    wanted = needles(held.workspace, WHO)
    emolab.forget(held.workspace, subjects=WHO)
    assert LOG in pages_left(held.url, wanted)
    with asked(held.url) as connection:
        segments = int(connection.exec_driver_sql("SELECT count(*) FROM pg_ls_waldir()").scalar_one())
        for _ in range(segments + 1):
            connection.exec_driver_sql("SELECT pg_switch_wal()")
            connection.exec_driver_sql("CHECKPOINT")
    assert pages_left(held.url, wanted) == {}


def test_of_a_source_that_goes_whole_neither_counts_nor_statistics_are_left(held: Made) -> None:
    tell(held.url, "UPDATE samples SET source = 'street-survey'", "ANALYZE")
    wanted = [each for who in PEOPLE for each in needles(held.workspace, who) if each.data != who.encode()]
    wanted.append(Needle("name of the source", b"street-survey"))
    assert {"sample_counts", "pg_statistic"} <= pages_left(held.url, wanted).keys()
    emolab.forget(held.workspace, sources="street-survey")
    assert left(held, wanted) == {} and people(held.workspace) == {}
    with asked(held.url) as connection:
        kept = connection.execute(text("SELECT attname FROM pg_stats WHERE tablename = 'samples'")).scalars().all()
    assert kept == ["pk"]


def test_of_an_annotator_no_page_keeps_the_name(held: Made) -> None:
    emolab.nickname(held.workspace, "ann-1", "Mirabelle Quince")
    tell(held.url, "ANALYZE")
    wanted = [Needle("name", name) for name in (b"Mirabelle", b"Quince", b"ann-1")]
    assert {"annotators", "pg_statistic"} <= pages_left(held.url, wanted).keys()
    emolab.forget(held.workspace, annotators="Mirabelle Quince")
    assert left(held, wanted) == {}
    with held.workspace.catalog() as catalog, catalog.connect() as conn:
        assert sum(vote.annotator.startswith("forgotten-") for vote in votes.iterate(conn)) == 6


def test_a_single_sample_goes_and_its_people_stay(held: Made) -> None:
    one = next(each for each, who in people(held.workspace).items() if who == WHO)
    wanted = [Needle("id", one.encode()), Needle("id", bytes.fromhex(one))]
    emolab.forget(held.workspace, ids=one[:16])
    assert left(held, wanted) == {} and list(people(held.workspace).values()).count(WHO) == EACH - 1


@pytest.mark.slow
@pytest.mark.parametrize("tables", [0, 9, len(schema.metadata.tables)])
def test_killed_while_pages_are_written_the_next_call_ends_it(held: Made, tables: int) -> None:
    wanted = needles(held.workspace, WHO)
    code = (
        "import os, emolab\nfrom emolab.catalog.privacy import server_pages\nwhole, n = server_pages._written, []\n"
        f"def half(*given):\n    n.append(1)\n    return os._exit(9) if len(n) > {tables} else whole(*given)\n"
        "server_pages._written = half\n"
        f"emolab.forget(emolab.open({str(held.workspace.root)!r}), subjects={WHO!r})\n"
    )
    killed = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert killed.returncode == 9, killed.stderr
    assert unfinished(held.workspace) and "pg_statistic" in pages_left(held.url, wanted)
    done = run("-w", held.workspace.root, "forget")
    assert done.code == 0 and "which an earlier call had begun" in done.err
    assert left(held, wanted) == {} and not unfinished(held.workspace)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("level", "asks"), [("REPEATABLE READ", "SELECT 1"), ("READ COMMITTED", "SELECT count(*) FROM votes")]
)
def test_who_keeps_the_server_from_it_is_named_and_then_it_goes_on(
    held: Made, monkeypatch: pytest.MonkeyPatch, level: str, asks: str
) -> None:
    monkeypatch.setattr(scrub, "WAIT", 1)
    monkeypatch.setattr(server_pages, "_TURN", 1)
    wanted = needles(held.workspace, WHO)
    engine = create_engine(held.url, isolation_level=level)
    with engine.connect() as reader:
        reader.exec_driver_sql(asks)
        pid = reader.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        with pytest.raises(EmolabError, match=f"because PostgreSQL keeps that for process {pid} ") as stopped:
            emolab.forget(held.workspace, subjects=WHO)
        assert stopped.value.hint == 'Let it end, or stop it, and run "emolab forget" to go on.'
        assert unfinished(held.workspace) and WHO not in people(held.workspace).values()
    engine.dispose()
    monkeypatch.undo()
    assert emolab.forget(held.workspace).continued
    assert left(held, wanted) == {}


@pytest.fixture
def guest(held: Made) -> Iterator[Workspace]:
    """The workspace by a role that may read and write all tables and owns none."""
    role = f"guest{time.time_ns()}"
    tell(
        held.url, f"CREATE ROLE {role} LOGIN", f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}",
        f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {role}",
    )  # fmt: skip
    yield held.workspace.with_settings({"catalog.url": held.url.replace("emolab@", f"{role}@")})
    tell(held.url, f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def as_owner(line: str) -> subprocess.CompletedProcess[str]:
    """Type what the ``line`` says."""
    command = shlex.split(line.partition(": ")[2])
    assert command[:3] == ["psql", "-U", "OWNER"] and "\n" not in line
    command[2] = "emolab"
    if shutil.which(command[0]) is None:
        pytest.skip("psql is not installed (apt-get install postgresql-client)")
    return subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True)


def as_owner_again(line: str) -> None:
    """Type what the ``line`` says until it holds: a worker of autovacuum may be in the way for a moment."""
    deadline = time.monotonic() + 120
    while (typed := as_owner(line)).returncode:
        assert "What was deleted still lies in the files of " in typed.stderr and time.monotonic() < deadline, typed


def test_a_role_that_does_not_own_the_tables_is_told_what_the_owner_types(held: Made, guest: Workspace) -> None:
    wanted = needles(guest, WHO)
    done = emolab.forget(guest, subjects=WHO)
    assert left(held, wanted).keys() >= {"samples", "pg_statistic"}
    assert "Old pages of the catalog on 127.0.0.1" in done.unreached[0]
    as_owner_again(done.to_do[0])
    assert left(held, wanted) == {}


@pytest.mark.parametrize("table", ["annotators", "votes"])
def test_the_owner_is_told_where_a_session_keeps_the_server_from_it(held: Made, guest: Workspace, table: str) -> None:
    """The session begins before ``table`` is written anew."""
    wanted = needles(guest, WHO)
    line = emolab.forget(guest, subjects=WHO).to_do[0]
    before, statement, after = line.partition(shlex.join(["-c", f"VACUUM (FULL, ANALYZE) {table}"]))
    assert as_owner(before).returncode == 0
    engine = create_engine(held.url, isolation_level="REPEATABLE READ")
    with engine.connect() as reader:
        reader.exec_driver_sql("SELECT 1")
        typed = as_owner(before.partition(" -c ")[0] + " " + statement + after)
    engine.dispose()
    assert typed.returncode != 0 and left(held, wanted)["pg_statistic"] >= {"id"}, typed
    assert re.search(r"ERROR: +What was deleted still lies in the files of .*\bpg_statistic\b", typed.stderr)
    assert "Let it end (pg_stat_activity), and run all of this again." in typed.stderr
    as_owner_again(line)
    assert left(held, wanted) == {}


@pytest.mark.slow
def test_two_at_once_forget_both_people(held: Made) -> None:
    wanted = [each for who in PEOPLE[:2] for each in needles(held.workspace, who)]
    command = [sys.executable, "-m", "emolab", "-w", str(held.workspace.root), "forget", "--yes", "--subject"]
    both = [
        subprocess.Popen([*command, who], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for who in PEOPLE[:2]
    ]
    said = [process.communicate()[1] for process in both]
    assert 0 in [process.returncode for process in both], said
    for who, process, line in zip(PEOPLE, both, said, strict=False):
        if process.returncode:
            assert "is busy with" in line, line
            emolab.forget(held.workspace, subjects=who)
    assert left(held, wanted) == {} and {*people(held.workspace).values()} == {PEOPLE[2]}


def test_a_vote_that_comes_meanwhile_goes_as_well(held: Made) -> None:
    wanted = needles(held.workspace, WHO)
    ids = [each for each, who in people(held.workspace).items() if who == WHO]
    done: list[object] = []

    def forgets() -> None:
        try:
            done.append(emolab.forget(held.workspace, subjects=WHO))
        except Exception as error:
            done.append(error)

    thread = threading.Thread(target=forgets)
    with Catalog(held.url) as other, other.begin() as tx:
        votes.append(tx, [Vote(sample_id=each, annotator="late", label="neutral", origin="late") for each in ids[:1]])
        thread.start()
        with asked(held.url) as connection:
            waits = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            deadline = time.monotonic() + 60
            while not connection.exec_driver_sql(waits).scalar_one():
                assert time.monotonic() < deadline and thread.is_alive(), done
                time.sleep(0.05)
    thread.join()
    assert isinstance(done[0], emolab.results.Result), done
    assert left(held, wanted) == {}
    with held.workspace.catalog() as catalog, catalog.connect() as conn:
        assert "late" not in {vote.annotator for vote in votes.iterate(conn)}


def test_the_file_of_an_earlier_catalog_is_gone_through_as_well(held: Made, tmp_path: Path) -> None:
    before = crowd(tmp_path / "before")
    shutil.copyfile(before.catalog_file, held.workspace.catalog_file)
    wanted = needles(held.workspace, WHO)
    assert ".emolab/catalog.db" in traces_left(held.workspace.root, wanted)
    emolab.forget(held.workspace, subjects=WHO)
    assert left(held, wanted) == {}


def test_collect_makes_the_tables_in_an_empty_database(postgresql: str, tmp_path: Path) -> None:
    name = f"t{time.time_ns()}"
    make_database(postgresql, name)
    workspace = Workspace.init(tmp_path / "faces", classes=("happiness", "sadness"))
    there = workspace.with_settings({"catalog.url": f"{postgresql}/{name}", "collect.faces": "off"})
    assert emolab.collect(there, [files(tmp_path / "photos", "image")]).to_dict()["added"] == EACH * len(PEOPLE)
