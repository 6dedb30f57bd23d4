"""Callers who send or read too slowly lose their connections in time, in bounded memory, while others are answered.

The program slowhttptest makes three such attacks and tells what becomes of its connections; it is used where it is
installed. Headers and bodies that never end are tried by hand in test_hostile.py as well.
"""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.serving.test_hostile import assert_workspace, gray
from tests.support.serve_process import ServeProcess, serving

pytestmark = [pytest.mark.serve, pytest.mark.slow]

#: Connections of an attack, its seconds at most, and MiB by which the server may grow meanwhile.
CONNECTIONS, LENGTH, GROWTH_MB = 60, 12, 60.0
#: Seconds that the server waits for a request, and for an answer to be made and read.
UPLOAD, TIMEOUT = 2.0, 4.0
ATTACKS = {
    "headers that never end": ["-H"],
    "bodies that never end": ["-B", "-s", "100000"],
    "answers that are read byte by byte": ["-X", "-k", "10", "-n", "1", "-z", "1", "-w", "8", "-y", "16"],
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServeProcess]:
    folder = tmp_path_factory.mktemp("slow")
    assert_workspace(folder)
    settings = (f"serve.upload_timeout={UPLOAD}", f"serve.timeout={TIMEOUT}")
    words = [word for setting in settings for word in ("--set", setting)]
    with serving("-w", folder, "serve", "face48", "--port", "0", *words) as found:
        assert found.post(gray())[0] == 200
        yield found


def sockets(server: ServeProcess) -> int:
    """How many the process of the server holds."""
    found = 0
    for place in Path(f"/proc/{server.process.pid}/fd").iterdir():
        with suppress(OSError):
            found += str(place.readlink()).startswith("socket:")
    return found


def idle_sockets(server: ServeProcess) -> int:
    """How many it holds while nobody asks."""
    found = []
    for _ in range(8):
        found.append(sockets(server))
        time.sleep(0.1)
    return min(found)


def back_to(server: ServeProcess, before: int, seconds: float) -> bool:
    """Whether the server holds no more than `before` sockets within so many seconds."""
    until = time.monotonic() + seconds
    while sockets(server) > before:
        if time.monotonic() > until:
            return False
        time.sleep(0.2)
    return True


def asking(server: ServeProcess, times: int, *, receive: int) -> socket.socket:
    """A connection with a small buffer that has asked so often, or tried to, for an answer of 9 kilobytes."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
    connection.connect(("127.0.0.1", server.port))
    connection.settimeout(0.2)
    with suppress(TimeoutError):
        connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * times)
    return connection


def test_a_reader_that_never_reads_loses_its_connection(server: ServeProcess) -> None:
    before, memory = idle_sockets(server), server.memory_mb("VmRSS")
    lazy = [asking(server, 1500, receive=1024) for _ in range(5)]
    until = time.monotonic() + 10
    while sockets(server) < before + len(lazy):
        assert time.monotonic() < until, "they are all accepted"
        time.sleep(0.05)
    assert server.post(gray())[0] == 200, "others are answered meanwhile"
    assert back_to(server, before, 5 * TIMEOUT), f"{sockets(server)} sockets, {before} before"
    assert server.memory_mb("VmRSS") - memory < GROWTH_MB
    for connection in lazy:
        connection.close()


def test_a_reader_that_is_slow_but_goes_on_gets_its_answers(server: ServeProcess) -> None:
    n, found, began = 30, b"", time.monotonic()
    with asking(server, n, receive=4096) as connection:
        connection.settimeout(30)
        while found.count(b"HTTP/1.1 200 OK") < n:
            part = connection.recv(2048)
            assert part, f"{found.count(b'HTTP/1.1 200 OK')} of {n} answers"
            found += part
            time.sleep(2.5 * TIMEOUT / 150)
    assert time.monotonic() - began > 2.1 * TIMEOUT  # longer than a reader that takes nothing may stay


@pytest.mark.skipif(shutil.which("slowhttptest") is None, reason="needs slowhttptest: scripts/setup.sh test")
@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_by_slowhttptest_ends_while_others_are_answered(server: ServeProcess, name: str) -> None:
    reading = "-X" in ATTACKS[name]
    path = "/openapi.json" if reading else "/v1/predict"
    command = [
        *("slowhttptest", *ATTACKS[name], "-u", f"http://127.0.0.1:{server.port}{path}"),
        *("-c", str(CONNECTIONS), "-r", str(CONNECTIONS), "-i", "1", "-x", "8", "-l", str(LENGTH), "-p", "5"),
    ]
    before, memory = idle_sockets(server), server.memory_mb("VmRSS")
    began, answered, most = time.monotonic(), 0, 0
    attack = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        while attack.poll() is None:
            assert server.post(gray())[0] == 200
            answered, most = answered + 1, max(most, sockets(server))
            time.sleep(0.1)
            assert time.monotonic() - began < 20 * LENGTH
    finally:
        attack.kill()
        said = attack.communicate()[0]
    assert most > before + CONNECTIONS / 2, "it did attack"
    assert answered >= 5
    # Answers of this size wait in the system and not in the server: a slow reader is like any caller that is idle.
    expected = "Hit test time limit" if reading else "No open connections left"
    assert re.search(rf"Exit status:\S*\s*{expected}", re.sub(r"\x1b\[[0-9;]*m", "", said)), said[-300:]
    assert back_to(server, before, 3 * TIMEOUT), f"{sockets(server)} sockets, {before} before"
    assert server.memory_mb("VmRSS") - memory < GROWTH_MB
