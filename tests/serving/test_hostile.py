"""Uploads that mean harm, or are broken, end in bounded time and memory with a 4xx; others are answered meanwhile."""

from __future__ import annotations

import http.client
import io
import json
import re
import socket
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image

from tests.support.serve_process import ServeProcess, serving

pytestmark = [pytest.mark.serve, pytest.mark.slow]

#: CPU seconds of the server for one upload (the clock's grow with other work on the machine), and MiB by which it may
#: grow. The largest picture allowed has 30 million pixels, of which the search for faces makes about eleven bytes each.
SECONDS, GROWTH_MB = 10.0, 400.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServeProcess]:
    settings = ["serve.max_bytes=2000000", "serve.upload_timeout=1.5", "serve.connections=20", "serve.max_images=8"]
    words = [word for setting in settings for word in ("--set", setting)]
    folder = tmp_path_factory.mktemp("hostile")
    assert_workspace(folder)
    with serving("-w", folder, "serve", "face48", "--port", "0", *words) as found:
        assert found.post(gray())[0] == 200
        yield found


def assert_workspace(folder: Path) -> None:
    from emolab.workspace import Workspace

    Workspace.init(folder, classes=("happiness", "sadness"))


def gray(size: tuple[int, int] = (48, 48), format: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.new("L", size, 90).save(stream, format)
    return stream.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, packed: bytes, *more: bytes) -> bytes:
    """A PNG that says it is 8 bit gray of this size, with whatever stream."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(more) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def zeros(megabytes: int) -> bytes:
    """So many megabytes of nothing, packed a thousandfold."""
    packer = zlib.compressobj(9)
    return b"".join([packer.compress(bytes(1 << 20)) for _ in range(megabytes)]) + packer.flush()


def gif(frames: int) -> bytes:
    """A GIF of so many frames of 48 x 48 pixels."""
    first, second = Image.new("P", (48, 48), 1), Image.new("P", (48, 48), 2)
    stream = io.BytesIO()
    first.save(stream, "GIF", save_all=True, append_images=[second, first] * (frames // 2), duration=10)
    return stream.getvalue()


def polyglot() -> bytes:
    """A picture, a page and an archive at once."""
    import zipfile

    stream = io.BytesIO(gray((48, 48), "GIF") + b"<script>alert(1)</script>")
    stream.seek(0, io.SEEK_END)
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr("evil.py", "print(1)")
    return stream.getvalue()


BOMBS = {
    "a PNG that says 30,000 x 30,000": lambda: (png(30_000, 30_000, zeros(1)), 422),
    "a PNG of 858 million pixels that are all there": lambda: (png(30_000, 30_000, zeros(858)), 422),
    "a small PNG whose stream holds a gigabyte": lambda: (png(48, 48, zeros(1024)), (200, 422)),
    "a PNG with a profile that holds a gigabyte": lambda: (
        png(48, 48, zlib.compress(bytes(48 * 49)), chunk(b"iCCP", b"x\0\0" + zeros(1024))), (200, 422)),
    "a PNG with a text that holds a gigabyte": lambda: (
        png(48, 48, zlib.compress(bytes(48 * 49)), chunk(b"zTXt", b"x\0\0" + zeros(1024))), (200, 422)),
    "the largest picture allowed": lambda: (png(6000, 5000, zlib.compress(bytes(6001 * 5000), 9)), 200),
    "a GIF of 10,000 frames": lambda: (gif(10_000), (200, 422)),
    "a picture that is a page and an archive too": lambda: (polyglot(), (200, 422)),
    "a truncated PNG": lambda: (gray((200, 200))[:-200], 422),
    "a truncated JPEG": lambda: (gray((200, 200), "JPEG")[:300], 422),
    "a TIFF that points at itself": lambda: (b"II*\0\x08\0\0\0\x01\0\x11\x01\x04\0\x01\0\0\0\x08\0\0\0\x08\0\0\0", 422),
    "a page": lambda: (b"<html><script>alert(1)</script>", 422),
    "an SVG that refers to a file": lambda: (
        b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>', 422),
    "a zip": lambda: (b"PK\x03\x04" + bytes(100), 422),
    "zeros": lambda: (bytes(1_900_000), 422),
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_ends_in_bounded_time_and_memory(server: ServeProcess, name: str) -> None:
    body, expected = BOMBS[name]()
    assert len(body) < 2_000_000, f"{len(body):,} bytes test another limit"
    before, used = server.memory_mb("VmRSS"), server.cpu_seconds()
    status, told = server.post(body)
    assert status in (expected if isinstance(expected, tuple) else (expected,)), told
    assert server.cpu_seconds() - used < SECONDS
    assert server.memory_mb() - before < GROWTH_MB, f"{before:.0f} MiB became {server.memory_mb():.0f}"
    assert server.post(gray())[0] == 200


def raw(server: ServeProcess, data: bytes, *, wait: float = 30.0) -> bytes:
    """What the server says to ``data`` before it closes the connection, which must be within ``wait`` seconds."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=wait) as connection:
        connection.sendall(data)
        return everything(connection)


def everything(connection: socket.socket) -> bytes:
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


HEAD = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\n"


@pytest.mark.parametrize(
    ("data", "status", "kind"),
    [
        (b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + bytes(40), 400, "malformed"),
        (b"GET / HTTP/1.1\r\n\r\n" , 400, "malformed"),
        (HEAD + b"Content-Length: -1\r\n\r\n", 400, "malformed"),
        (HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400, "malformed"),
        (HEAD + b"Content-Length: 5\r\nTransfer-Encoding: nonsense\r\n\r\n", 501, ""),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400, "malformed"),
        (HEAD + b"X: " + b"y" * 100_000, 400, "malformed"),
        (HEAD + b"X: " + b"y" * 70_000 + b"\r\n\r\n", 400, "malformed"),
        (HEAD + b"Host: evil.example\r\n\r\n", 400, "malformed"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: " + b"y" * 300_000, 400, "malformed"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"y" * 300_000, 400, "malformed"),
        (b"\r\n" * 100, 408, "slow_headers"),
        (HEAD + b"Content-Length: 99999999999999\r\nExpect: 100-continue\r\n\r\n", 413, "too_large"),
        (HEAD + b"Content-Length: 100\r\n\r\nhalf", 408, "slow_upload"),
        (HEAD + b"X-Slow: 1\r\n", 408, "slow_headers"),
        (b"P", 408, "slow_headers"),
        (b"", 408, "slow_headers"),
    ],
    ids=["TLS", "no host", "negative length", "two lengths", "unknown coding", "no chunk", "headers without end",
         "long headers", "two hosts", "a trailer without end", "a chunk's extension without end", "empty lines", "huge",
         "half a body", "half of the headers", "one byte", "nothing"],
)  # fmt: skip
def test_what_is_no_whole_request_ends_soon(server: ServeProcess, data: bytes, status: int, kind: str) -> None:
    answer = raw(server, data)
    if status == 501:  # whatever it is called, it must not be taken for a request with a body
        assert answer.startswith((b"HTTP/1.1 501", b"HTTP/1.1 400")), answer
        return
    assert answer.startswith(f"HTTP/1.1 {status} ".encode()), answer[:300]
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["kind"] == kind


def test_requests_in_a_row_are_answered_in_order_whatever_follows_them(server: ServeProcess) -> None:
    body = gray()
    one = HEAD + b"X-Request-Id: %d\r\nContent-Length: %d\r\n\r\n" + body
    answer = raw(server, b"".join(one % (number, len(body)) for number in (1, 2, 3)) + HEAD + b"X-Slow: ")
    assert re.findall(rb"HTTP/1.1 (\d+)", answer) == [b"200", b"200", b"200", b"408"]
    assert re.findall(rb"x-request-id: (\d)", answer) == [b"1", b"2", b"3"]


def test_who_offers_another_protocol_is_answered_in_this_one_or_told_to_leave_it(server: ServeProcess) -> None:
    body, more = gray(), b"Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    answer = raw(server, HEAD + more + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["kind"] == "upgrade"
    answer = raw(server, b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + more + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")


def test_a_body_that_is_too_large_is_refused_while_it_is_sent(server: ServeProcess) -> None:
    before = server.memory_mb("VmRSS")
    connection = server.connect()
    connection.request("POST", "/v1/predict", bytes(12_000_000))
    response = connection.getresponse()
    assert (response.status, json.loads(response.read())["error"]["kind"]) == (413, "too_large")
    connection.close()

    def pieces() -> Iterator[bytes]:
        for _ in range(120):
            yield bytes(100_000)

    connection = server.connect()
    connection.request("POST", "/v1/predict", pieces(), encode_chunked=True, headers={"transfer-encoding": "chunked"})
    assert connection.getresponse().status == 413
    connection.close()
    assert server.memory_mb("VmRSS") - before < 50


def test_bytes_that_drip_do_not_hold_a_place_for_ever(server: ServeProcess) -> None:
    ends: list[float] = []

    def drip(text: bytes) -> None:
        began = time.monotonic()
        with socket.create_connection(("127.0.0.1", server.port), timeout=40) as connection:
            try:
                connection.sendall(text)
                while time.monotonic() - began < 40:
                    connection.sendall(b"x")
                    time.sleep(0.1)
            except OSError:
                ends.append(time.monotonic() - began)

    texts = [HEAD + b"X-Slow: ", HEAD + b"Content-Length: 1000\r\n\r\n"] * 5
    threads = [threading.Thread(target=drip, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    assert server.post(gray())[0] == 200, "others are answered meanwhile"
    for thread in threads:
        thread.join(60)
    assert len(ends) == len(texts), "every one was ended"
    assert max(ends) < 30, "long before the drops would have stopped by themselves"


def test_connections_that_are_too_many_are_refused_and_the_rest_work_on(server: ServeProcess) -> None:
    idle = [socket.create_connection(("127.0.0.1", server.port), timeout=10) for _ in range(20)]
    until, status = time.monotonic() + 60, 200
    while status == 200:  # they are taken in a moment
        assert time.monotonic() < until
        status, told = server.get("/health")
    assert (status, told["error"]["kind"]) == (503, "overloaded")  # type: ignore[index]
    more = [socket.create_connection(("127.0.0.1", server.port), timeout=10) for _ in range(40)]
    for connection in [*idle, *more]:
        connection.close()
    until, status = time.monotonic() + 60, 0
    while status != 200:
        assert time.monotonic() < until
        time.sleep(0.1)
        with suppress(ConnectionError):
            status, _ = server.get("/health")


def test_a_reader_that_never_reads_stops_nobody(server: ServeProcess) -> None:
    lazy = [socket.create_connection(("127.0.0.1", server.port), timeout=10) for _ in range(5)]
    for connection in lazy:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 50)
    assert server.post(gray())[0] == 200
    for connection in lazy:
        connection.close()


def test_a_form_of_a_thousand_parts_is_refused_early(server: ServeProcess) -> None:
    part = b'--b\r\nContent-Disposition: form-data; name="images"; filename="a"\r\n\r\nx\r\n'
    body = part * 20_000 + b"--b--\r\n"
    used = server.cpu_seconds()
    status, told = server.post(body, {"content-type": "multipart/form-data; boundary=b"})
    assert (status, told["error"]["kind"]) == (422, "too_many_images")  # type: ignore[index]
    assert server.cpu_seconds() - used < 2


def test_a_server_stays_well_after_all_of_that(server: ServeProcess) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    for _ in range(50):
        connection.request("POST", "/v1/predict", gray())
        response = connection.getresponse()
        response.read()
        assert response.status == 200
    connection.close()
    text = metrics(server)
    assert "emolab_images_under_way 0.0" in text
    assert server.memory_mb("VmRSS") < 600


def metrics(server: ServeProcess) -> str:
    connection = server.connect()
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return text
