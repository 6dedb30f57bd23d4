"""FiftyOne's database: found, started once per workspace, shared, and gone when nobody uses it any more."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from emolab.datasets.inspect import mongod
from emolab.errors import EmolabError

USER = """
import sys
from pathlib import Path
from emolab.datasets.inspect.mongod import database, running
folder = Path(sys.argv[1])
address = database(folder)
assert database(folder) == address
print(running(folder), address, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def own_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(mongod.URI, raising=False)


@pytest.fixture
def start_user(tmp_path: Path) -> Iterator[Callable[..., tuple[subprocess.Popen[str], int]]]:
    """Starts another process that uses the database of a folder; gives it and the server's process id."""
    needs_mongod()
    started: list[subprocess.Popen[str]] = []
    servers: set[int] = set()

    def start(folder: Path = tmp_path) -> tuple[subprocess.Popen[str], int]:
        command = [sys.executable, "-c", USER, str(folder)]
        user = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(user)
        assert user.stdout is not None
        pid = int(user.stdout.readline().split()[0])
        servers.add(pid)
        return user, pid

    yield start
    for user in started:
        user.kill()
        user.wait()
        for pipe in (user.stdin, user.stdout):
            if pipe is not None:
                pipe.close()
    assert until(lambda: not any(alive(pid) for pid in servers)), "a MongoDB server was left running"


def needs_mongod() -> None:
    try:
        mongod.find()
    except EmolabError as error:
        pytest.skip(str(error))


def until(true: Callable[[], bool], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def alive(pid: int) -> bool:
    try:
        return "mongod" in Path(f"/proc/{pid}/comm").read_text()
    except OSError:
        return False


def program(folder: Path, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "mongod"
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)


@pytest.mark.fiftyone
def test_a_given_address_wins_and_nothing_is_started(
    tmp_path: Path, start_user: Callable[..., tuple[subprocess.Popen[str], int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    start_user(tmp_path / "somebody")
    given = f"mongodb://{quote(str(mongod._socket(tmp_path / 'somebody')), safe='')}"
    monkeypatch.setenv(mongod.URI, given)
    assert mongod.database(tmp_path / "fiftyone") == given
    assert not (tmp_path / "fiftyone").exists()


def test_a_given_address_where_nobody_answers_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pymongo")
    monkeypatch.setattr(mongod, "ANSWER_SECONDS", 0.2)
    monkeypatch.setenv(mongod.URI, "mongodb://ann:s3cret@127.0.0.1:9")
    with pytest.raises(EmolabError, match=r"is mongodb://…@127.0.0.1:9, where no MongoDB can be used: .*refused"):
        mongod.database(tmp_path / "fiftyone")


@pytest.mark.fiftyone
def test_a_workspaces_own_server_is_not_taken_for_somebodys_by_programs_started_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A notebook that called inspect() hands its environment down: FiftyOne's App needs it, another workspace not."""
    needs_mongod()
    address = mongod.database(tmp_path / "first")
    for name in (mongod.URI, mongod.OWN):
        monkeypatch.setenv(name, "")  # both are as they were after the test
    mongod.share(address)
    ask = "import os; from emolab.datasets.inspect import mongod; print(os.environ[mongod.URI], mongod.given())"
    done = subprocess.run([sys.executable, "-c", ask], check=True, capture_output=True, text=True)
    assert done.stdout.split() == [address, "None"]
    mongod.share("mongodb://127.0.0.1:9")
    done = subprocess.run([sys.executable, "-c", ask], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["mongodb://127.0.0.1:9"] * 2


@pytest.mark.fiftyone
def test_two_processes_share_one_server_that_outlives_the_first(start_user) -> None:
    first, pid = start_user()
    second, same = start_user()
    assert same == pid
    first.stdin.close()
    assert first.wait(20) == 0
    assert alive(pid), "the server stopped although the second process still used it"
    second.stdin.close()
    assert until(lambda: not alive(pid)), "the server survived its last user"


@pytest.mark.fiftyone
def test_a_folder_is_nobodys_as_soon_as_its_server_has_stopped(
    tmp_path: Path, start_user: Callable[..., tuple[subprocess.Popen[str], int]]
) -> None:
    user, pid = start_user()
    with mongod.alone(tmp_path) as free:
        assert not free and alive(pid), "somebody uses it"
    os.kill(pid, signal.SIGSTOP)  # the server takes its time to stop
    later = threading.Timer(1.5, os.kill, (pid, signal.SIGCONT))
    later.start()
    assert user.stdin is not None
    user.stdin.close()
    assert user.wait(20) == 0
    with mongod.alone(tmp_path) as free:
        assert free and not alive(pid)
        assert later.finished.is_set(), "the server was waited for"


@pytest.mark.fiftyone
def test_kill_9_of_the_last_user_stops_the_server_and_the_next_one_starts_again(start_user) -> None:
    user, pid = start_user()
    user.kill()
    assert until(lambda: not alive(pid)), "the server survived its killed user"
    _, fresh = start_user()
    assert fresh != pid
    assert alive(fresh)


@pytest.mark.fiftyone
def test_kill_9_of_the_server_is_mended_by_the_next_user(start_user) -> None:
    _, pid = start_user()
    os.kill(pid, 9)
    assert until(lambda: not alive(pid))
    _, fresh = start_user()
    assert alive(fresh)


@pytest.mark.fiftyone
def test_the_server_listens_on_a_private_socket_only_even_in_a_folder_with_an_awkward_name(
    tmp_path: Path, start_user
) -> None:
    pymongo = pytest.importorskip("pymongo")
    folder = tmp_path / ("a very long name, with blanks & more " * 3)
    _, pid = start_user(folder)
    socket_file = mongod._socket(folder)
    assert len(os.fsencode(socket_file)) <= 104
    assert socket_file.stat().st_mode & 0o077 == 0
    with pymongo.MongoClient(f"mongodb://{quote(str(socket_file), safe='')}") as client:
        assert client.server_info()["version"].startswith(("6.", "7.", "8."))
    ports = subprocess.run(["ss", "-ltnp"], capture_output=True, text=True, check=False).stdout
    assert f"pid={pid}," not in ports


def test_a_server_that_ends_at_once_is_an_error_with_its_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "bin", '[ "$1" = --version ] && echo "db version v7.0.2" && exit; echo "no room left"; exit 3')
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    with pytest.raises(EmolabError, match=r"MongoDB 7\.0\.2 ended at once \(exit code 3\): no room left"):
        mongod.database(tmp_path / "fiftyone")


def test_each_program_that_will_not_do_is_named_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "bin", 'echo "db version v4.4.29"')
    program(tmp_path / "fiftyone" / "db" / "bin", 'echo "libssl.so.1.1: cannot open shared object file" >&2; exit 127')
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "no-libraries"))
    monkeypatch.setattr(mongod, "_package_folder", lambda: tmp_path / "fiftyone")
    with pytest.raises(EmolabError) as caught:
        mongod.find()
    assert "version 4.4 is too old, FiftyOne needs 6.0" in caught.value.message
    assert "libssl.so.1.1: cannot open shared object file" in caught.value.message
    assert "FIFTYONE_DATABASE_URI" in (caught.value.hint or "")


def test_no_program_at_all_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(mongod, "_package_folder", lambda: None)
    with pytest.raises(EmolabError, match="there is no mongod on PATH, and FiftyOne brought none"):
        mongod.find()
