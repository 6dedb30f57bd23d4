"""The embedded Label Studio: one server per workspace that no crash orphans and no log betrays."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import random
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from emolab.errors import ConfigError, EmolabError, MissingExtra, ServerError
from emolab.labeling.label_studio import retry
from emolab.labeling.server import address, daemon, installation
from emolab.labeling.server.embedded import EmbeddedServer
from emolab.progress import Progress, Task
from emolab.workspace import Workspace
from tests.support.servers import LabelStudioServer

real = pytest.mark.labelstudio
LEGACY = "0123456789abcdef0123456789abcdef01234567"


def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a shell script in the place of the label-studio program."""

    def install(script: str) -> None:
        file = tmp_path / "label-studio"
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)
        monkeypatch.setattr(installation, "find_program", lambda: str(file))

    return install


# -- processes -------------------------------------------------------------------------------------------------------


def test_a_process_is_known_by_its_birth_until_it_ends() -> None:
    child = sleeper()
    born = daemon.birth(child.pid)
    assert born is not None
    assert daemon.birth(child.pid) == born
    child.kill()
    until(lambda: daemon.birth(child.pid) is None)  # already while it is a zombie
    child.wait()


def test_a_stranger_with_the_same_pid_is_left_alone() -> None:
    child = sleeper()
    try:
        assert daemon.stop(child.pid, "another boot 4711") is False
        assert child.poll() is None
        assert daemon.stop(child.pid, daemon.birth(child.pid) or "") is True
        assert daemon.birth(child.pid) is None
    finally:
        child.kill()
        child.wait()


def test_a_process_that_ignores_the_polite_signal_is_killed(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    child = subprocess.Popen(["/bin/sh", "-c", f"trap '' TERM; touch {ready}; while :; do sleep 0.05; done"])
    until(ready.exists)
    assert daemon.stop(child.pid, daemon.birth(child.pid) or "", grace=0.2) is True
    assert daemon.birth(child.pid) is None


def test_a_daemon_notes_itself_even_when_its_starter_is_killed_at_once(tmp_path: Path) -> None:
    note = tmp_path / "server.json"
    starter = (
        "import os, signal; from pathlib import Path; from emolab.labeling.server import daemon\n"
        f"daemon.spawn(['/bin/sleep', '60'], env=dict(os.environ), cwd=Path({str(tmp_path)!r}),"
        f" log=Path({str(tmp_path / 'log')!r}), note=Path({str(note)!r}), facts={{'port': 1}})\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", starter], check=False).returncode == -signal.SIGKILL
    until(note.exists)
    noted = json.loads(note.read_text())
    assert noted["port"] == 1
    until(lambda: b"/bin/sleep" in Path(f"/proc/{noted['pid']}/cmdline").read_bytes())
    assert daemon.birth(noted["pid"]) == noted["born"]  # the same process before and after it became the program
    assert daemon.stop(noted["pid"], noted["born"])


def test_a_log_is_private_and_a_big_one_is_set_aside(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    log.write_bytes(b"x" * (daemon.ROTATE_AT + 1))
    assert daemon.begin_log(log) == 0
    daemon.spawn(["/bin/echo", "hello"], env={}, cwd=tmp_path, log=log).wait()
    assert daemon.begin_log(log) == len("hello\n")
    assert log.read_text() == "hello\n"
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert (tmp_path / "server.old.log").stat().st_size == daemon.ROTATE_AT + 1


# -- what can go wrong before the server answers ---------------------------------------------------------------------


#: A program that answers like Label Studio, but was not told of emolab's settings.
STRANGER = """
import http.server, sys
port = int(sys.argv[sys.argv.index("--port") + 1])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
server = http.server.HTTPServer(("127.0.0.1", port), Handler)
print(f"Starting development server at http://127.0.0.1:{port}/", flush=True)
server.serve_forever()
"""


def test_a_program_without_emolabs_settings_is_stopped_again(
    fake: Callable[[str], None], workspace: Workspace, tmp_path: Path
) -> None:
    (tmp_path / "stranger.py").write_text(STRANGER)
    fake(f'exec {sys.executable} {tmp_path / "stranger.py"} "$@"')
    installation.data_folder(workspace.studio).mkdir(parents=True)
    server = EmbeddedServer(workspace)
    with pytest.raises(
        EmolabError, match=r"does not use emolab's settings, without which it carries out requests twice"
    ):
        server.start(port=daemon.free_port(), timeout=60)
    assert server.running() is None


def test_a_free_port_is_none_that_the_system_gives_away_meanwhile() -> None:
    given = Path("/proc/sys/net/ipv4/ip_local_port_range")
    first, last = map(int, given.read_text().split()) if given.exists() else (32768, 60999)
    found = {daemon.free_port() for _ in range(20)}
    assert len(found) > 10
    if first >= 21000:
        assert not [port for port in found if first <= port <= last]
    with contextlib.ExitStack() as stack:
        for port in found:
            stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
        assert not {daemon.free_port() for _ in range(200)} & found


def test_where_all_other_ports_are_taken_the_system_gives_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setattr(random.SystemRandom, "sample", lambda *_: [taken.getsockname()[1]] * 50)
        port = daemon.free_port()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", port))


def slow_start(server: EmbeddedServer, folder: Path) -> None:
    """Start a process that is noted as the server of the workspace, but answers only after a second."""
    (folder / "slow.py").write_text(f"import time; time.sleep(1)\n{STRANGER}")
    server.folder.mkdir(parents=True, exist_ok=True)
    server.log.parent.mkdir(parents=True, exist_ok=True)
    port = daemon.free_port()
    daemon.spawn(
        [sys.executable, str(folder / "slow.py"), "--port", str(port)],
        env=dict(os.environ),
        cwd=folder,
        log=server.log,
        note=server.folder / "server.json",
        facts={"host": "127.0.0.1", "port": port, "started_at": time.time(), "log_start": 0},
    )


class Told(Progress):
    """Keeps what it was told."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def task(self, description: str, total: int | None = None, *, unit: str = "") -> Task:
        self.heard.append(description)
        return Task()

    def note(self, text: str) -> None:
        self.heard.append(text)


def test_a_server_that_is_starting_is_waited_for(workspace: Workspace, tmp_path: Path) -> None:
    server, told = EmbeddedServer(workspace), Told()
    assert server.ready(progress=told) is None
    slow_start(server, tmp_path)
    server.token_file.write_text("token")
    try:
        until(lambda: server.running() is not None)
        assert address.locate(workspace, {}, wait=True, progress=told).token == "token"
        assert told.heard == ["Starting Label Studio"]
        assert server.ready(progress=told) == server.running()
        assert len(told.heard) == 1  # it answers: nothing to wait for
    finally:
        server.stop(grace=0.5)


def test_a_push_waits_while_studio_up_still_makes_the_database(workspace: Workspace, tmp_path: Path) -> None:
    server, told = EmbeddedServer(workspace), Told()
    begun = threading.Event()

    def up() -> None:
        with workspace.lock("studio"):
            begun.set()
            slow_start(server, tmp_path)
            until(lambda: server.running() is not None)
            time.sleep(1.5)  # it answers, but the token is not there yet
            server.token_file.write_text("token")

    starter = threading.Thread(target=up)
    starter.start()
    try:
        assert begun.wait(10)
        assert address.locate(workspace, {}, wait=True, progress=told).token == "token"
        assert told.heard[0] == 'Waiting for Label Studio, which "emolab studio up" is starting'
    finally:
        starter.join()
        server.stop(grace=0.5)


def test_whoever_waits_says_for_what_and_how_long() -> None:
    told = Told()

    def away() -> None:
        raise ServerError("Cannot reach Label Studio at http://studio (refused).", retryable=True)

    with retry.told_to(told), pytest.raises(ServerError):
        retry.patiently(away, patience=6.0)
    assert told.heard == ["Cannot reach Label Studio at http://studio (refused). Waiting for it, up to 6 s."]


@pytest.mark.parametrize(
    ("last_words", "said"),
    [
        ("django.core.exceptions.ImproperlyConfigured: The embedded server needs Django 5.1", "needs Django 5.1."),
        ("ModuleNotFoundError: No module named 'emolab_studio'", "does not use emolab's settings"),
        ("OSError: No space left on device", "the disk is full"),
        ("Error: That port is already in use.", "its port was taken"),
        ("Killed", "  | Killed"),
    ],
)
def test_the_last_words_of_the_program_become_one_line(tmp_path: Path, last_words: str, said: str) -> None:
    log = tmp_path / "log"
    log.write_text(f"Traceback (most recent call last):\n{last_words}\n")
    assert said in str(installation.crashed("while starting", log, 0))


def test_without_label_studio_the_extra_to_install_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingExtra, match=r'pip install "emolab\[studio\]"'):
        installation.find_program()


def test_a_taken_port_is_said_before_anything_is_started(workspace: Workspace, fake: Callable[[str], None]) -> None:
    fake("exit 1")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(EmolabError, match=f"Port {port} on 127.0.0.1 is taken by another program") as caught:
            EmbeddedServer(workspace).start(port=port)
    assert "leave --port out" in (caught.value.hint or "")
    assert not workspace.studio.exists()


def test_an_address_of_another_machine_is_refused(workspace: Workspace, fake: Callable[[str], None]) -> None:
    fake("exit 1")
    for host in ("203.0.113.7", "::", "no such name"):
        with pytest.raises(ConfigError, match=f'"{host}" is no IPv4 address of this machine') as caught:
            EmbeddedServer(workspace).start(host=host)
        assert "0.0.0.0 for the network" in (caught.value.hint or "")


def test_a_port_that_does_not_exist_is_refused(workspace: Workspace, fake: Callable[[str], None]) -> None:
    fake("exit 1")
    with pytest.raises(ConfigError, match="There is no port 70000"):
        EmbeddedServer(workspace).start(port=70000)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo 'ImportError: no module named pandas'; exit 3", "while creating its database. The end of its log:\n"),
        ("echo 'OSError: [Errno 28] No space left on device'; exit 1", "the disk is full."),
        ("echo 'sqlite3.OperationalError: database or disk is full'; exit 1", "the disk is full."),
        ('[ "$1" = init ] || { echo "Error: That port is already in use."; exit 1; }', "its port was taken."),
        ('[ "$1" = init ] || { echo "Segmentation fault"; kill -9 $$; }', "  | Segmentation fault\n"),
    ],
)
def test_a_crash_shows_the_end_of_the_log_and_leaves_nothing_running(
    workspace: Workspace, fake: Callable[[str], None], script: str, message: str
) -> None:
    fake(script)
    server = EmbeddedServer(workspace)
    with pytest.raises(EmolabError) as caught:
        server.start(timeout=120.0)
    assert message in caught.value.message
    assert str(server.log) in (caught.value.hint or "")
    assert server.running() is None
    assert not server.token_file.exists()


def test_a_port_that_is_taken_in_the_meantime_is_exchanged_for_another(
    workspace: Workspace, fake: Callable[[str], None], tmp_path: Path
) -> None:
    """Two servers that start at one moment find the same port free: the second to bind it tries again."""
    once, runs = tmp_path / "once", tmp_path / "runs"
    fake(
        f'[ "$1" = init ] && exit 0\necho run >> "{runs}"\n'
        f'[ -e "{once}" ] || {{ touch "{once}"; echo "Error: That port is already in use."; exit 1; }}\n'
        'echo "second try"; exit 3'
    )
    with pytest.raises(EmolabError, match="second try"):
        EmbeddedServer(workspace).start(timeout=120.0)
    assert runs.read_text().split() == ["run", "run"]


def test_a_port_that_was_asked_for_is_not_exchanged(
    workspace: Workspace, fake: Callable[[str], None], tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    fake(f'[ "$1" = init ] && exit 0\necho run >> "{runs}"\necho "Error: That port is already in use."; exit 1')
    with pytest.raises(EmolabError, match="its port was taken"):
        EmbeddedServer(workspace).start(port=daemon.free_port(), timeout=120.0)
    assert runs.read_text().split() == ["run"]


def test_a_server_that_never_answers_is_stopped_again(workspace: Workspace, fake: Callable[[str], None]) -> None:
    fake('[ "$1" = init ] || exec sleep 60')
    server = EmbeddedServer(workspace)
    with pytest.raises(ServerError, match="runs but does not answer"):
        server.start(timeout=1.5)
    assert server.running() is None


def test_a_full_disk_is_said_before_the_start(
    workspace: Workspace, fake: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake("exit 1")
    usage = type("usage", (), {"free": 5_000_000})
    monkeypatch.setattr("emolab.labeling.server.embedded.shutil.disk_usage", lambda _: usage)
    with pytest.raises(EmolabError, match=r"Only 5 MB are free on the disk of .*, expected 200 MB for"):
        EmbeddedServer(workspace).start()


def test_the_note_of_a_dead_server_is_not_believed(workspace: Workspace) -> None:
    child = sleeper()
    workspace.studio.mkdir(parents=True)
    facts = {"host": "127.0.0.1", "port": 8080, "started_at": 0.0, "log_start": 0, "pid": child.pid}
    note = workspace.studio / "server.json"
    server = EmbeddedServer(workspace)
    try:
        note.write_text(json.dumps({**facts, "born": "before the last reboot 17"}))
        assert server.running() is None
        assert server.stop() is False
        assert child.poll() is None
        note.write_text(json.dumps({**facts, "born": daemon.birth(child.pid)}))
        assert server.running() is not None
        note.write_text("{half a no")
        assert server.running() is None
    finally:
        child.kill()
        child.wait()


def test_only_one_start_at_a_time(workspace: Workspace) -> None:
    with workspace.lock("studio"), pytest.raises(EmolabError, match='busy with "studio"'):
        EmbeddedServer(workspace).start(timeout=0.1)


@pytest.mark.parametrize("what", ["start", "stop"])
def test_a_start_or_stop_waits_for_another_one_and_says_so(
    workspace: Workspace, fake: Callable[[str], None], what: str
) -> None:
    fake('[ "$1" = init ] && exit 0\necho "it ran"; exit 3')
    server = EmbeddedServer(workspace)
    held, release = threading.Event(), threading.Event()

    def other() -> None:
        with workspace.lock("studio"):
            held.set()
            release.wait(60)

    class Listener(Told):
        def note(self, text: str) -> None:
            super().note(text)
            release.set()  # the other one ends once we are known to wait

    told = Listener()
    holder = threading.Thread(target=other)
    holder.start()
    try:
        assert held.wait(60)
        if what == "start":
            with pytest.raises(EmolabError, match="it ran"):
                server.start(timeout=120.0, progress=told)
        else:
            assert server.stop(progress=told) is False
    finally:
        release.set()
        holder.join()
    assert told.heard[:1] == ["Another emolab is starting or stopping Label Studio; waiting until it has."]


def test_a_running_server_whose_log_was_removed_is_up_all_the_same(workspace: Workspace, tmp_path: Path) -> None:
    server, told = EmbeddedServer(workspace), Told()
    slow_start(server, tmp_path)
    server.token_file.write_text("token")
    try:
        until(lambda: server.running() is not None and server.ready() is not None)
        note = workspace.studio / "server.json"
        note.write_text(json.dumps({**json.loads(note.read_text()), "started_at": 0.0}))
        server.log.unlink()
        assert server.start(progress=told).already_up
        assert told.heard == ["Waiting for Label Studio to answer"]
    finally:
        server.stop(grace=0.5)


def test_a_server_that_was_up_long_ago_and_hangs_is_not_waited_for_as_long_as_a_start(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emolab.labeling.server.server_process.LATE", 0.3)
    child = sleeper()
    workspace.studio.mkdir(parents=True)
    facts = {"host": "127.0.0.1", "port": daemon.free_port(), "started_at": 0.0, "log_start": 0, "pid": child.pid}
    (workspace.studio / "server.json").write_text(json.dumps({**facts, "born": daemon.birth(child.pid)}))
    try:
        with pytest.raises(ServerError, match="runs but does not answer") as caught:
            EmbeddedServer(workspace).start(timeout=3600.0)
    finally:
        child.kill()
        child.wait()
    assert "emolab studio down" in str(caught.value.hint)


#: Starts the server of the workspace ``argv[1]`` with the program ``argv[2]``.
STARTER = """
import sys
from pathlib import Path
from emolab.labeling.server import installation
from emolab.labeling.server.embedded import EmbeddedServer
from emolab.workspace import Workspace
installation.find_program = lambda: sys.argv[2]
EmbeddedServer(Workspace.open(Path(sys.argv[1]))).start(timeout=60.0)
"""


def test_a_creation_killed_in_the_middle_is_thrown_away_and_done_again(
    workspace: Workspace, fake: Callable[[str], None]
) -> None:
    fake('echo half > "$LABEL_STUDIO_BASE_DATA_DIR/half"; exec sleep 60')
    command = [sys.executable, "-c", STARTER, str(workspace.root), installation.find_program()]
    with subprocess.Popen(command) as starter:
        half = workspace.studio / "unfinished" / "half"
        until(half.exists)
        left = json.loads((workspace.studio / "unfinished.json").read_text())
        starter.kill()
    assert daemon.birth(left["pid"]) == left["born"]  # the creation itself goes on, alone
    fake('[ "$1" = init ] || { echo "reached the start"; exit 1; }')
    with pytest.raises(EmolabError, match="reached the start"):
        EmbeddedServer(workspace).start(timeout=120.0)
    assert daemon.birth(left["pid"]) is None
    assert not (workspace.studio / "data" / "half").exists()
    assert (workspace.studio / "data" / installation.DATABASE).exists()


# -- the real server -------------------------------------------------------------------------------------------------


@real
def test_it_starts_stops_and_starts_again_with_everything_kept(embedded: EmbeddedServer) -> None:
    first = embedded.start(port=daemon.free_port()).server
    assert embedded.start().already_up
    assert embedded.start().server == first
    with address.open_studio(embedded.workspace) as studio:
        name = studio.server_id
    assert embedded.stop() is True
    assert embedded.stop() is False
    with pytest.raises(ServerError, match="Label Studio is not running") as caught:
        address.open_studio(embedded.workspace)
    assert "emolab studio up" in (caught.value.hint or "")
    again = embedded.start()
    assert (again.password, again.server.port) == (None, first.port)
    with address.open_studio(embedded.workspace) as studio:
        assert studio.server_id == name
    with pytest.raises(EmolabError, match=f"already up on 127.0.0.1, port {first.port}"):
        embedded.start(port=first.port + 1)


@real
def test_after_kill_nine_it_starts_again_with_everything_kept(embedded: EmbeddedServer) -> None:
    server = embedded.start().server
    os.kill(server.pid, signal.SIGKILL)
    until(lambda: embedded.running() is None)
    assert embedded.start().password is None
    with address.open_studio(embedded.workspace) as studio:
        assert studio.whoami().email == installation.ADMIN


@real
def test_an_up_killed_in_the_middle_is_finished_by_the_next_one(embedded: EmbeddedServer) -> None:
    note = embedded.folder / "server.json"
    starter = subprocess.Popen(
        [sys.executable, "-m", "emolab", "-w", str(embedded.workspace.root), "studio", "up"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until(note.exists)
    starter.kill()
    starter.wait()
    pid = json.loads(note.read_text())["pid"]
    started = embedded.start()
    assert started.already_up
    assert started.server.pid == pid


@real
def test_no_secret_is_in_its_arguments_environment_log_or_readable_files(label_studio: LabelStudioServer) -> None:
    server = label_studio.server
    up = server.running()
    assert up is not None
    arguments = Path(f"/proc/{up.pid}/cmdline").read_bytes().split(b"\0")
    assert arguments[2:5] == [b"start", b"--no-browser", b"--internal-host"]
    environment = Path(f"/proc/{up.pid}/environ").read_text()
    assert "PASSWORD" not in environment
    assert "TOKEN" not in environment
    assert "COLLECT_ANALYTICS=false" in environment
    for secret in (server.token(), label_studio.legacy_token):
        assert secret not in environment
        assert secret not in server.log.read_text()
    assert stat.S_IMODE(server.folder.stat().st_mode) == 0o700
    for file in (server.token_file, server.log, server.folder / "data" / ".env"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


@real
def test_it_listens_on_this_machine_only(label_studio: LabelStudioServer) -> None:
    outside, port = daemon.outside_address(), int(label_studio.url.rpartition(":")[2])
    if outside.startswith("127."):
        pytest.skip("this machine has no other address")
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((outside, port), timeout=5)


@real
def test_a_new_password_lets_the_administrator_in_and_renews_the_token(embedded: EmbeddedServer) -> None:
    from emolab.labeling.label_studio.accounts import personal_token
    from emolab.labeling.label_studio.client import connect

    url = embedded.start().server.url
    old = embedded.token()
    password = embedded.reset_password()
    with connect(url, old) as studio, pytest.raises(ServerError, match="was revoked"):
        studio.users()
    with address.open_studio(embedded.workspace) as studio:
        assert studio.whoami().email == installation.ADMIN
    assert personal_token(url, installation.ADMIN, "not it") is None
    embedded.token_file.unlink()  # as after a crash between the database and the token
    started = embedded.start()
    assert started.password is not None
    assert password not in repr(started)
    assert started.password not in repr(started)
    assert personal_token(url, installation.ADMIN, password) is None
    assert personal_token(url, installation.ADMIN, started.password) is not None


# -- which server, whose token ---------------------------------------------------------------------------------------


def test_the_environment_wins_over_the_settings_and_both_over_the_embedded_server(workspace: Workspace) -> None:
    configured = Workspace.open(workspace.root, overrides=["labeling.url=http://one.example"])
    env = {"EMOLAB_STUDIO_TOKEN": LEGACY}
    assert address.locate(configured, env).url == "http://one.example"
    found = address.locate(configured, {**env, "LABEL_STUDIO_URL": "http://two.example"})
    assert (found.url, found.source, found.embedded) == ("http://two.example", "$LABEL_STUDIO_URL", False)
    assert LEGACY not in repr(found)


def test_emolabs_own_variable_wins_over_the_sdks(workspace: Workspace) -> None:
    env = {"LABEL_STUDIO_URL": "http://x.example", "LABEL_STUDIO_API_KEY": "b" * 40}
    assert address.locate(workspace, env).token == "b" * 40
    assert address.locate(workspace, {**env, "EMOLAB_STUDIO_TOKEN": "a" * 40}).token == "a" * 40


def test_links_for_people_have_the_address_that_people_use(workspace: Workspace) -> None:
    inside = {"LABEL_STUDIO_URL": "http://studio:8080/"}
    link = "http://studio:8080/user/signup/?token=x&next=%2Fprojects%2F1"
    assert address.for_people(workspace, link, inside) == link
    outside = Workspace.open(workspace.root, overrides=["labeling.public_url=https://faces.example/"])
    assert (
        address.for_people(outside, link, inside) == "https://faces.example/user/signup/?token=x&next=%2Fprojects%2F1"
    )
    both = {**inside, "LABEL_STUDIO_PUBLIC_URL": "https://other.example"}
    assert address.for_people(outside, link, both).startswith("https://other.example/user")
    assert address.for_people(outside, "http://127.0.0.1:8080/x", {}) == "http://127.0.0.1:8080/x", "the embedded one"
    with pytest.raises(ConfigError, match="LABEL_STUDIO_PUBLIC_URL"):
        address.for_people(workspace, link, {**inside, "LABEL_STUDIO_PUBLIC_URL": "faces.example"})


def test_a_server_without_a_token_says_where_to_get_one(workspace: Workspace) -> None:
    with pytest.raises(ConfigError, match="There is no token for Label Studio at http://x") as caught:
        address.locate(workspace, {"LABEL_STUDIO_URL": "http://x.example"})
    assert "http://x.example/user/account" in (caught.value.hint or "")
    assert "export EMOLAB_STUDIO_TOKEN=" in (caught.value.hint or "")


# -- the command line ------------------------------------------------------------------------------------------------

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.slow
def test_url_and_invite_say_how_to_start_it(workspace: Workspace, run_apart: Run) -> None:
    for command in ("url", "invite"):
        done = run_apart("studio", command, cwd=workspace.root)
        assert (done.returncode, done.stdout) == (1, "")
        assert "Label Studio is not running." in done.stderr
        assert "emolab studio up" in done.stderr


def test_down_is_fine_when_nothing_runs(workspace: Workspace, run_apart: Run) -> None:
    done = run_apart("studio", "down", "--json", cwd=workspace.root)
    assert (done.returncode, json.loads(done.stdout)) == (0, {"stopped": False})


@pytest.mark.slow
def test_a_server_of_somebody_else_is_neither_started_nor_stopped(workspace: Workspace, run_apart: Run) -> None:
    for command in ("up", "down", "password"):
        done = run_apart("studio", command, cwd=workspace.root, env={"LABEL_STUDIO_URL": "http://x.example"})
        assert done.returncode == 1
        assert "http://x.example (from $LABEL_STUDIO_URL), which emolab neither starts nor stops" in done.stderr


@real
def test_up_url_invite_and_down_from_the_command_line(embedded: EmbeddedServer, run_apart: Run) -> None:
    def emolab(*arguments: str) -> subprocess.CompletedProcess[str]:
        return run_apart("studio", *arguments, cwd=embedded.workspace.root, check=True)

    up = json.loads(emolab("up", "--json").stdout)
    assert (up["already_up"], up["password"]) == (False, None)
    assert "is up already at" in emolab("up").stderr
    assert emolab("url").stdout == up["url"] + "\n"
    invited = emolab("invite")
    assert invited.stdout.startswith(f"{up['url']}/user/signup/?token=")
    assert "then opens the project\nyou push" in invited.stderr
    assert f"ssh -N -L {up['url'].rpartition(':')[2]}:127.0.0.1:" in invited.stderr
    assert "--host 0.0.0.0" in invited.stderr
    assert "wants no e-mail from its makers unticks the box for news" in invited.stderr
    assert json.loads(emolab("invite", "--json").stdout)["invite"] + "\n" == invited.stdout
    assert "is stopped" in emolab("down").stderr
    assert embedded.running() is None


def test_a_password_is_not_written_into_a_pipe_unless_asked_for_as_json(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from click.testing import CliRunner

    from emolab.cli.main import cli

    monkeypatch.setattr(EmbeddedServer, "reset_password", lambda _: "blue-horse-runs-far")
    prose = CliRunner().invoke(cli, ["-w", str(workspace.root), "studio", "password"])
    assert 'run "emolab studio password" in a terminal' in prose.output
    assert "horse" not in prose.output
    data = CliRunner().invoke(cli, ["-w", str(workspace.root), "studio", "password", "--json"])
    assert json.loads(data.stdout) == {"email": installation.ADMIN, "password": "blue-horse-runs-far"}


@real
def test_a_password_is_shown_on_a_terminal_and_kept_nowhere(embedded: EmbeddedServer) -> None:
    from emolab.labeling.label_studio.accounts import personal_token

    url = embedded.start().server.url
    shown = on_a_terminal("-w", str(embedded.workspace.root), "studio", "password")
    line = next(line for line in shown.splitlines() if "password  " in line)
    password = line.replace("│", " ").split()[-1]
    assert personal_token(url, installation.ADMIN, password) is not None
    for file in embedded.workspace.state.rglob("*"):
        if file.is_file():
            assert password.encode() not in file.read_bytes(), file


@real
def test_in_the_foreground_it_ends_with_a_polite_signal(embedded: EmbeddedServer) -> None:
    command = [sys.executable, "-m", "emolab", "-w", str(embedded.workspace.root), "studio", "up", "--foreground"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    until(lambda: embedded.running() is not None)
    assert process.stderr is not None
    until(lambda: "Ctrl-C stops it" in process.stderr.readline())
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    assert embedded.running() is None


def on_a_terminal(*arguments: str) -> str:
    """What a person sees, without colours."""
    controller, terminal = pty.openpty()
    env = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
    process = subprocess.Popen(
        [sys.executable, "-m", "emolab", *arguments], stdin=terminal, stdout=terminal, stderr=terminal, env=env
    )
    os.close(terminal)
    text = b""
    with contextlib.suppress(OSError):  # the end of a terminal whose other side is closed
        while chunk := os.read(controller, 4096):
            text += chunk
    os.close(controller)
    assert process.wait(60) == 0
    return text.decode()
