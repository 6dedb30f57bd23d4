"""A browser's camera: the page sends JPEG frames over a WebSocket and draws what comes back.

Every tab has a stream of its own. The page sends, after the connection is made, one text: ``{"token": ..., "consent":
...}``; then binary messages of 12 bytes (the frame's number, 4; milliseconds since the page's start, 8; both big-endian
whole numbers) and a JPEG. It gets a greeting and then one text for each answered frame, or ``too_old`` in the place of
faces for one that would leave too late. What is no such message is counted, answered with an ``error``, and ends the
connection after a few.

Who may come: pages of this server alone (by Origin), under names that are this server's. At addresses other than
loopback the page needs the token that was printed with its address; it works once, and is exchanged for a key of that
page, with which it may come back.
"""

from __future__ import annotations

import asyncio
import hmac
import io
import json
import logging
import secrets
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from emolab.serving.live.frame_answers import plain
from emolab.serving.live.pipeline import ArrivedFrame, BadFrame, LiveAnswer, LivePipeline

if TYPE_CHECKING:
    from starlette.requests import Request

    from emolab.serving.live.face_stream import FaceStream

logger = logging.getLogger("emolab.serving")

#: Names under which only this machine is reached.
LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
#: The page and its parts -> their types.
PARTS = {"live.html": "text/html", "live.js": "text/javascript", "live.css": "text/css"}
#: Before a frame: its number and the page's time.
_HEAD = struct.Struct(">IQ")
#: Bytes of a message and pixels of a frame that are taken, and bad messages in a row that are allowed.
MOST_BYTES, MOST_PIXELS, _BAD = 4 << 20, 4_000_000, 20
#: Seconds in which the first message must come.
_PATIENCE = 10.0
#: What ends a connection: WebSocket codes that the page knows.
NOT_HERE, NO_TOKEN, NO_CONSENT, FULL, RUBBISH, FAILED = 4403, 4401, 4412, 4429, 4400, 4500
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "permissions-policy": "camera=(self), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}


@dataclass(frozen=True, kw_only=True)
class BrowserRules:
    """``names``: hosts under which the page is asked for; ``None`` for any, which wants a ``token``.

    ``consent`` is a text that the person must agree to before the camera opens. ``most``: tabs at once.
    ``model_name`` is what the page calls the model [the start of its id].
    """

    names: frozenset[str] | None = LOOPBACK
    token: str | None = None
    consent: str | None = None
    most: int = 4
    model_name: str | None = None


@dataclass
class Doors:
    """Who has come in: the token, until it is used, and the keys of the pages that used it."""

    token: str | None
    _keys: list[str] = field(default_factory=list)
    open: int = 0

    def enter(self, given: object) -> str | None:
        """The key for whoever brings the token or a key; ``None`` for nobody. Without a token everybody may come."""
        if self.token is None and not self._keys:
            return ""
        if not isinstance(given, str):
            return None
        if any(hmac.compare_digest(key, given) for key in self._keys):
            return given
        if self.token is not None and hmac.compare_digest(self.token, given):
            self.token = None
            self._keys.append(secrets.token_urlsafe(32))
            return self._keys[-1]
        return None


def create(
    new_stream: Callable[[], FaceStream],
    rules: BrowserRules,
    *,
    on_answer: Callable[[str, LiveAnswer], None] = lambda _tab, _answer: None,
) -> Starlette:
    """The application: the page, and the WebSocket behind it.

    ``new_stream`` gives each tab its own. ``on_answer`` hears of every answer, with the name of its tab, in a thread.
    """
    doors = Doors(rules.token)
    tab = partial(_tab, new_stream=new_stream, rules=rules, doors=doors, on_answer=on_answer)
    return Starlette(
        routes=[
            Route("/", partial(_part, name="live.html", rules=rules)),
            *(Route(f"/{name}", partial(_part, name=name, rules=rules)) for name in PARTS if name != "live.html"),
            WebSocketRoute("/frames", tab),
        ]
    )


async def _part(request: Request, *, name: str, rules: BrowserRules) -> Response:
    if not _known_name(request.headers.get("host", ""), rules):
        return Response("This server is not known under that name.\n", 421, _HEADERS, "text/plain")
    content = (files("emolab.serving") / "pages" / name).read_bytes()
    return Response(content, headers=_HEADERS, media_type=PARTS[name])


async def _tab(
    socket: WebSocket,
    *,
    new_stream: Callable[[], FaceStream],
    rules: BrowserRules,
    doors: Doors,
    on_answer: Callable[[str, LiveAnswer], None],
) -> None:
    """One page, from its first word to its last."""
    if not _own_page(socket.headers, rules):
        await socket.close(NOT_HERE)
        return
    await socket.accept()
    try:
        greeting = json.loads(await asyncio.wait_for(socket.receive_text(), _PATIENCE))
        given = greeting if isinstance(greeting, dict) else {}
    except (TimeoutError, ValueError, KeyError, RecursionError):
        await socket.close(RUBBISH, "the first message is not understood")
        return
    except WebSocketDisconnect:
        return
    key = doors.enter(given.get("token"))
    refused = (
        (NO_TOKEN, "the address of this page has been used, or is not whole")
        if key is None
        else (NO_CONSENT, "nobody has agreed")
        if rules.consent is not None and given.get("consent") is not True
        else (FULL, f"{rules.most} pages are open already")
        if doors.open >= rules.most
        else None
    )
    if refused is not None:
        await socket.send_text(json.dumps({"refused": refused[1], "consent": rules.consent if key is not None else None,
                                           "key": key}))  # fmt: skip
        await socket.close(*refused)
        return
    doors.open += 1
    try:
        hello = {"model_name": rules.model_name, "key": key}
        await _serve(socket, hello, new_stream, partial(on_answer, f"tab {secrets.token_hex(4)}"))
    finally:
        doors.open -= 1


async def _serve(
    socket: WebSocket,
    hello: dict[str, str | None],
    new_stream: Callable[[], FaceStream],
    on_answer: Callable[[LiveAnswer], None],
) -> None:
    """Say ``hello`` and who answers; then take frames and send answers, at the same time, until one of both ends."""
    stream = await asyncio.to_thread(new_stream)
    classes = stream.model.classes
    await socket.send_text(json.dumps({"model": stream.model.id, "classes": list(classes), **hello}))
    loop, outbox = asyncio.get_running_loop(), _Outbox()

    def answered(answer: LiveAnswer) -> None:
        on_answer(answer)
        loop.call_soon_threadsafe(outbox.put, answer)

    end = (RUBBISH, "too many messages that are no frames")
    failed = asyncio.Event()
    try:
        with LivePipeline(stream, answered, on_failure=lambda: loop.call_soon_threadsafe(failed.set)) as pipeline:
            work = [
                asyncio.create_task(each)
                for each in (_receive(socket, pipeline), _send(socket, outbox, pipeline, classes), failed.wait())
            ]
            try:
                await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in work:
                    task.cancel()
                await asyncio.gather(*work, return_exceptions=True)
                await asyncio.to_thread(pipeline.close)
    except Exception:  # whatever ended the pipeline: the page must not go on showing what is no longer looked at
        logger.exception("a page's pictures are no longer looked at")
        end = (FAILED, "the server failed; its terminal says more")
    if socket.application_state is WebSocketState.CONNECTED and socket.client_state is WebSocketState.CONNECTED:
        await socket.close(*end)


class _Outbox:
    """The newest answer, for one sender: a page that reads slowly gets fewer answers, not older ones."""

    def __init__(self) -> None:
        self._held: LiveAnswer | None = None
        self._there = asyncio.Event()

    def put(self, answer: LiveAnswer) -> None:
        if not (answer.is_late and self._there.is_set()):  # which shows nothing, so it takes no answer's place
            self._held = answer
        self._there.set()

    async def get(self) -> LiveAnswer:
        await self._there.wait()
        self._there.clear()
        assert self._held is not None  # noqa: S101 (set before the event)
        return self._held


async def _receive(socket: WebSocket, pipeline: LivePipeline) -> None:
    """Hand frames to ``pipeline`` until the page leaves, or has sent too much that is none."""
    bad, began = 0, pipeline.now
    while bad < _BAD:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1000))
        arrived = pipeline.now
        data = message.get("bytes")
        if data is None or not _HEAD.size < len(data) <= MOST_BYTES:
            bad += 1
            await socket.send_text(json.dumps({"error": "a message that is no frame"}))
            continue
        number, _ = _HEAD.unpack_from(data)
        bad = bad + 1 if data[_HEAD.size : _HEAD.size + 2] != b"\xff\xd8" else 0
        read = partial(read_jpeg, data[_HEAD.size :])
        pipeline.offer(ArrivedFrame(number, arrived, arrived - began, read))


async def _send(socket: WebSocket, outbox: _Outbox, pipeline: LivePipeline, classes: tuple[str, ...]) -> None:
    while True:
        answer = await outbox.get()
        await socket.send_text(json.dumps(_told(answer, pipeline, classes)))


def _told(answer: LiveAnswer, pipeline: LivePipeline, classes: tuple[str, ...]) -> dict[str, Any]:
    """What the page is told of a frame; of one that is too old by now, only that it is."""
    now, late, found = pipeline.now, answer.late, answer.answer
    if found is not None and pipeline.too_old(answer.arrived, now):
        late, found = pipeline.leaves_late(), None
    told: dict[str, Any] = {
        "number": answer.number,
        "age_ms": round(1000 * (now - answer.arrived), 2),
        "fps": round(answer.fps, 1),
        "dropped": answer.dropped,
        "late": late,
        "lag_ms": None if answer.lag is None else round(1000 * answer.lag, 1),
    }
    if found is not None:
        return told | plain(found, classes)
    return told | ({"error": answer.error} if answer.error is not None else {"too_old": True})


def read_jpeg(data: bytes) -> NDArray[np.uint8]:
    """The pixels of a JPEG, red first. Raises :class:`BadFrame` for what is none, or too large."""
    import cv2

    try:
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as header:  # reads no pixels
            width, height = header.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise BadFrame("a frame that is no JPEG") from error
    if not min(width, height) >= 16 or width * height > MOST_PIXELS:
        raise BadFrame(f"a frame of {width} x {height} pixels")
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    if pixels is None:
        raise BadFrame("a frame that is damaged")
    return np.asarray(pixels, np.uint8)


def _known_name(host: str, rules: BrowserRules) -> bool:
    return rules.names is None or _name(f"//{host}") in rules.names


def _own_page(headers: Mapping[str, str], rules: BrowserRules) -> bool:
    """Whether a page of this very server asks: browsers say of which one, and it cannot lie about it."""
    host, origin = headers.get("host", ""), headers.get("origin", "")
    return bool(host) and urlsplit(origin).netloc.lower() == host.lower() and _known_name(host, rules)


def _name(address: str) -> str:
    """The host of an address, as it stands there, without its port."""
    netloc = urlsplit(address).netloc.lower()
    return netloc.rpartition(":")[0] if not netloc.endswith("]") and ":" in netloc else netloc
