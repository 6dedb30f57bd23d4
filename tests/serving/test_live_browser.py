"""The WebSocket behind the page: who may come, what is said, and pages that send rubbish."""

from __future__ import annotations

import io
import itertools
import json
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

pytest.importorskip("cv2")
pytest.importorskip("uvicorn")
websockets = pytest.importorskip("websockets")
from websockets.exceptions import ConnectionClosed, InvalidStatus  # noqa: E402
from websockets.sync.client import ClientConnection, connect  # noqa: E402

from emolab.errors import ConfigError  # noqa: E402
from emolab.modalities.image.faces import Face  # noqa: E402
from emolab.serving.live import browser_server  # noqa: E402
from emolab.serving.live.browser import BrowserRules, Doors, create, read_jpeg  # noqa: E402
from emolab.serving.live.face_stream import FaceStream, StreamRules  # noqa: E402
from emolab.serving.live.pipeline import BadFrame  # noqa: E402
from emolab.serving.live.tracker import TrackRules  # noqa: E402
from tests.support.films import FakeFinder, FakeModel  # noqa: E402


def jpeg(light: int = 255, size: tuple[int, int] = (320, 240)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, (light, light, light)).save(out, "JPEG")
    return out.getvalue()


def message(number: int, data: bytes) -> bytes:
    return struct.pack(">IQ", number, 0) + data


def new_stream() -> FaceStream:
    finder = FakeFinder(itertools.repeat([(100.0, 80.0, 80.0, 100.0)]))
    return FaceStream(FakeModel(), finder, StreamRules(detect_every=0.0, tracks=TrackRules(hits=1)))


@contextmanager
def served(rules: BrowserRules | None = None, make: Callable[[], FaceStream] = new_stream) -> Iterator[int]:
    """The port of a server with ``rules``; ``make`` gives each tab its stream."""
    at = browser_server.listen("127.0.0.1", 0)
    port = int(at.getsockname()[1])
    with browser_server.serving(create(make, rules or BrowserRules()), at):
        yield port


@contextmanager
def tab(port: int, *, origin: str | None = None, host: str = "127.0.0.1") -> Iterator[ClientConnection]:
    """A page of the server, or one that says it is of another."""
    address = f"ws://{host}:{port}/frames"
    with connect(address, origin=origin or f"http://{host}:{port}", proxy=None) as made:  # type: ignore[arg-type]
        yield made


def greeted(socket: ClientConnection, **words: object) -> dict[str, object]:
    socket.send(json.dumps(words))
    return dict(json.loads(socket.recv(10)))


def test_a_frame_comes_back_with_its_faces() -> None:
    with served() as port, tab(port) as socket:
        hello = greeted(socket)
        assert (hello["classes"], hello["model"]) == (["happiness", "sadness", "neutral"], "f" * 64)
        socket.send(message(7, jpeg()))
        told = json.loads(socket.recv(10))
        assert (told["number"], told["dropped"], told["size"]) == (7, 0, [320, 240])
        assert told["age_ms"] >= 0
        (face,) = told["faces"]
        assert (face["track"], face["box"], face["label"]) == (1, [100, 80, 80, 100], "happiness")


def test_a_frame_that_is_too_old_is_told_without_faces_and_counted() -> None:
    """Its number comes back all the same: the page waits for it before it sends more."""
    places, n = iter([0.0, 0.0, 0.0, 0.0, 0.3]), 5

    def slow_at_last() -> FaceStream:
        made = new_stream()
        find = made._finder.find_pixels

        def slowly(pixels: NDArray[np.uint8]) -> list[Face]:
            time.sleep(next(places))
            return find(pixels)

        made._finder.find_pixels = slowly  # type: ignore[method-assign]
        return made

    with served(make=slow_at_last) as port, tab(port) as socket:
        greeted(socket)
        told: dict[str, object] = {}
        for number in range(n):
            socket.send(message(number, jpeg()))
            while told.get("number") != number:
                told = json.loads(socket.recv(10))
        assert told["too_old"] is True
        assert "faces" not in told
        assert told["late"] >= 1  # type: ignore[operator]


def test_two_tabs_have_faces_of_their_own_and_one_may_leave() -> None:
    with served() as port, tab(port) as one:
        greeted(one)
        with tab(port) as two:
            greeted(two)
            for number, socket in enumerate([one, two]):
                socket.send(message(number, jpeg()))
                assert json.loads(socket.recv(10))["faces"][0]["track"] == 1
        one.send(message(9, jpeg()))
        assert json.loads(one.recv(10))["number"] == 9


def test_a_page_that_comes_again_goes_on() -> None:
    with served(BrowserRules(most=1)) as port:
        for number in range(3):
            with tab(port) as socket:
                assert "refused" not in greeted(socket)
                socket.send(message(number, jpeg()))
                assert json.loads(socket.recv(10))["number"] == number
            time.sleep(0.3)


def test_more_pages_than_there_may_be_are_told_so() -> None:
    with served(BrowserRules(most=1)) as port, tab(port) as one, tab(port) as two:
        greeted(one)
        assert greeted(two)["refused"] == "1 pages are open already"
        with pytest.raises(ConnectionClosed) as closed:
            two.recv(10)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 4429


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1"])
def test_pages_of_other_sites_may_not_come(origin: str) -> None:
    with served() as port, pytest.raises(InvalidStatus, match="403"), tab(port, origin=origin):
        pass


def test_another_name_for_this_machine_is_refused() -> None:
    """Somebody's name may be made to point here: the page would then be of the same origin."""
    import httpx

    with served() as port:
        address = f"http://127.0.0.1:{port}"
        assert httpx.get(f"{address}/", headers={"host": f"evil.example:{port}"}).status_code == 421
        good = httpx.get(f"{address}/")
        assert (good.status_code, good.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert "script-src 'self'" in good.headers["content-security-policy"]
        for part in ("live.js", "live.css"):
            assert httpx.get(f"{address}/{part}").status_code == 200
        assert httpx.get(f"{address}/../setup.cfg").status_code == 404


def test_the_token_works_once_and_is_exchanged_for_a_key() -> None:
    doors = Doors("t0ken")
    assert doors.enter(None) is None
    assert doors.enter("wrong") is None
    key = doors.enter("t0ken")
    assert key not in (None, "", "t0ken")
    assert doors.enter("t0ken") is None
    assert doors.enter(key) == key
    assert Doors(None).enter(None) == ""


def test_without_the_token_nobody_comes_in() -> None:
    with served(BrowserRules(names=None, token="t0ken")) as port:
        with tab(port) as socket:
            assert "has been used" in str(greeted(socket)["refused"])
        with tab(port) as socket:
            key = greeted(socket, token="t0ken")["key"]
        with tab(port) as socket:
            assert greeted(socket, token=key)["key"] == key


def test_before_anybody_agrees_no_frame_is_taken() -> None:
    with served(BrowserRules(consent="My pictures may be kept.")) as port:
        with tab(port) as socket:
            assert greeted(socket) == {"refused": "nobody has agreed", "consent": "My pictures may be kept.", "key": ""}
        with tab(port) as socket:
            assert greeted(socket, consent="yes")["refused"] == "nobody has agreed"
        with tab(port) as socket:
            assert "model" in greeted(socket, consent=True)


@pytest.mark.parametrize(
    "rubbish",
    ["text", b"", b"short", message(1, b"GIF89a"), message(1, b"\xff\xd8" + bytes(500)), message(1, jpeg()[:-200])],
)
def test_a_page_that_sends_rubbish_is_told_so_and_ends_nothing(rubbish: str | bytes) -> None:
    with served() as port, tab(port) as socket:
        greeted(socket)
        socket.send(rubbish)
        told = json.loads(socket.recv(10))
        assert "error" in told or told["faces"]  # a JPEG that is cut short is decoded as far as it goes
        socket.send(message(2, jpeg()))
        assert json.loads(socket.recv(10))["number"] == 2


def test_a_page_that_sends_nothing_else_is_sent_away() -> None:
    with served() as port, tab(port) as socket:
        greeted(socket)
        for _ in range(30):
            try:
                socket.send("rubbish")
            except ConnectionClosed:
                break
        with pytest.raises(ConnectionClosed) as closed:
            for _ in range(40):
                socket.recv(10)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 4400


@pytest.mark.parametrize("first", ["[1, 2", "{" * 100_000])
def test_a_first_word_that_is_not_understood_ends_the_connection(first: str) -> None:
    with served() as port, tab(port) as socket:
        socket.send(first)
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(10)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 4400


def bomb() -> bytes:
    """A JPEG that says it has 65,000 x 65,000 pixels."""
    data = bytearray(jpeg())
    place = data.index(b"\xff\xc0")
    data[place + 5 : place + 9] = struct.pack(">HH", 65000, 65000)
    return bytes(data)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (bomb, "65000 x 65000 pixels|no JPEG"),
        (lambda: jpeg(size=(8, 8)), "8 x 8 pixels"),
        (lambda: b"\xff\xd8\xff", "no JPEG"),
    ],
)
def test_a_frame_of_impossible_size_is_not_decoded(make: Callable[[], bytes], reason: str) -> None:
    with pytest.raises(BadFrame, match=reason):
        read_jpeg(make())


def test_a_jpeg_is_read_red_first() -> None:
    out = io.BytesIO()
    Image.new("RGB", (64, 64), (250, 20, 20)).save(out, "JPEG", quality=95)
    assert np.abs(read_jpeg(out.getvalue()).mean(axis=(0, 1)) - (250, 20, 20)).max() < 4


def test_a_certificate_is_made_once_and_only_its_owner_reads_the_key(tmp_path: object) -> None:
    from pathlib import Path

    folder = Path(str(tmp_path)) / "tls"
    made = browser_server.certificate("self", folder=folder, names=["localhost", "127.0.0.1"])
    assert made is not None
    assert (made.key.stat().st_mode & 0o777) == 0o600
    assert len(browser_server.fingerprint(made)) == 32 * 3 - 1
    again = browser_server.certificate("self", folder=folder, names=["localhost", "127.0.0.1"])
    assert again == made
    with pytest.raises(ConfigError, match=r'there is no file "a\.pem"'):
        browser_server.certificate("a.pem,b.pem", folder=folder, names=[])
    at = browser_server.listen("127.0.0.1", 0)
    with browser_server.serving(create(new_stream, BrowserRules()), at, tls=made):
        import ssl

        import httpx

        trusted = ssl.create_default_context(cafile=str(made.chain))
        assert httpx.get(f"https://localhost:{at.getsockname()[1]}/", verify=trusted).status_code == 200


@pytest.mark.parametrize(("host", "shown"), [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")])
def test_where_the_page_is_said_to_be(host: str, shown: str) -> None:
    assert browser_server.shown_host(host) == shown
    assert browser_server.shown_host("0.0.0.0") not in ("0.0.0.0", "")


class Ending:
    """A finder that sees one frame and then fails, as a model or a full memory might."""

    def __init__(self) -> None:
        self.seen = 0

    def find_pixels(self, pixels: NDArray[np.uint8]) -> list[object]:
        self.seen += 1
        if self.seen > 1:
            raise RuntimeError("out of memory")
        return []


def test_a_page_whose_pictures_are_no_longer_looked_at_is_told_and_not_left_waiting(
    caplog: pytest.LogCaptureFixture,
) -> None:
    at = browser_server.listen("127.0.0.1", 0)
    port = int(at.getsockname()[1])
    failing = lambda: FaceStream(FakeModel(), Ending(), StreamRules(detect_every=0.0))  # noqa: E731
    with browser_server.serving(create(failing, BrowserRules()), at), tab(port) as socket:
        greeted(socket)
        socket.send(message(1, jpeg()))
        assert json.loads(socket.recv(10))["number"] == 1
        socket.send(message(2, jpeg()))  # and then nothing: a page waits for its answer before it sends more
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(10)
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 4500
    assert "out of memory" in caplog.text
