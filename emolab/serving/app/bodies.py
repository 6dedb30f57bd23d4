"""From a request's body to pictures: read up to a limit before anything is parsed, never written to the disk."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

from emolab.config import ServeConfig
from emolab.safe_text import visible
from emolab.serving.app.errors import CLOSE, RequestRefused
from emolab.serving.app.multipart import files_of, too_many
from emolab.serving.model_host import Pictures

T = TypeVar("T")

#: From this size on a body is parsed in a thread, so that other requests do not wait for it.
LARGE = 128 << 10
#: What is read of a body that is too large, so that its sender gets to hear the answer.
_DRAINED, _DRAIN_SECONDS = 16 << 20, 2.0
_LONGEST_NAME = 200


async def read_body(request: Request, config: ServeConfig, hold: Callable[[int], None]) -> bytes:
    """The whole body. ``hold`` is told of each piece's size before it is kept, and may refuse it.

    Raises :class:`RequestRefused` for a body that is too large, too slow, packed, or that its sender gave up.
    """
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise RequestRefused(415, "packed", "The body is compressed.", "Send it without Content-Encoding.")
    stated = request.headers.get("content-length")
    if stated is not None and int(stated) > config.max_bytes:
        await _drain(request)
        raise _too_large(config)
    parts, held, more = list[bytes](), 0, True
    try:
        async with asyncio.timeout(config.upload_timeout):
            while more and held <= config.max_bytes:
                part, more = await _part(request)
                held += len(part)
                if held <= config.max_bytes:
                    hold(len(part))
                    parts.append(part)
    except TimeoutError:
        raise RequestRefused(
            408, "slow_upload", f"The body did not come within {config.upload_timeout:g} s.", headers=CLOSE
        ) from None
    except ClientDisconnect:
        raise RequestRefused(400, "gave_up", "The connection ended before the body did.", headers=CLOSE) from None
    if held > config.max_bytes:
        if more:
            await _drain(request)
        raise _too_large(config)
    return b"".join(parts)


async def _part(request: Request) -> tuple[bytes, bool]:
    """A piece of the body, and whether more comes. Raises :class:`ClientDisconnect`."""
    message = await request.receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    return message.get("body", b""), message.get("more_body", False)


async def parsed(body: bytes, parse: Callable[[bytes], T]) -> T:
    """What ``parse`` makes of ``body``, in a thread where that takes long."""
    return await asyncio.to_thread(parse, body) if len(body) > LARGE else parse(body)


#: Types of a body that is one picture or sound, beside those that begin with one of ``MEDIA``: what it is, its bytes
#: say. The last is what curl --data-binary sends when told nothing.
RAW = ("", "application/octet-stream", "application/ogg", "application/x-www-form-urlencoded")
MEDIA = ("image/", "audio/", "video/")


def pictures_of(body: bytes, content_type: str, config: ServeConfig) -> Pictures:
    """(name, content) of every picture in ``body``. Raises :class:`RequestRefused`."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/json":
        return pictures_of_json(body, config)
    if kind == "multipart/form-data":
        found = files_of(body, content_type, most=config.max_images)
        return _some([(_name(name, place), data) for place, (name, data) in enumerate(found)], config)
    if kind == "text/plain":
        return _some([("text", body)] if body else [], config)
    if kind.startswith(MEDIA) or kind in RAW:
        return _some([("image", body)] if body else [], config)
    raise RequestRefused(
        415,
        "unknown_type",
        f'A body of type "{visible(kind)[:64]}" is not understood.',
        "Send the bytes of a picture or sound as application/octet-stream, files as multipart/form-data, text as "
        "text/plain, or application/json.",
    )


def json_object(body: bytes) -> dict[str, Any]:
    """The JSON object in ``body``. Raises :class:`RequestRefused` for what is no JSON, or no object."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RequestRefused(400, "malformed", f"The body is no JSON: {str(error)[:100]}.") from None
    if not isinstance(found, dict):
        raise RequestRefused(422, "wrong_form", "The body is no JSON object.")
    return found


def pictures_of_json(body: bytes, config: ServeConfig, *, key: str = "images", also: tuple[str, ...] = ()) -> Pictures:
    """The pictures of ``{"images": [{"b64": "...", "name": "a.jpg"}]}``; ``also`` are keys that may stand beside it.

    A sentence is ``{"text": "..."}``, several are ``{"texts": ["..."]}``, and ``text`` may stand for ``b64``.
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RequestRefused(400, "malformed", f"The body is no JSON: {str(error)[:100]}.") from None
    if isinstance(content, dict) and not content.keys() - {"text", "texts"} and len(content) == 1:
        return _some(_sentences(content), config)
    form = f'{{"{key}": [{{"b64": "..."}}]}}'
    if not isinstance(content, dict) or not isinstance(content.get(key), list):
        raise RequestRefused(422, "wrong_form", f'There is no list "{key}" in the JSON.', f"Expected: {form}")
    strangers = sorted(content.keys() - {key, *also})
    if strangers:
        raise RequestRefused(422, "wrong_form", f'Unknown key "{visible(strangers[0])[:64]}".', f"Expected: {form}")
    if len(content[key]) > config.max_images:
        raise too_many(config.max_images)
    return _some([_picture(place, one, form) for place, one in enumerate(content[key])], config)


def _sentences(content: dict[str, Any]) -> list[tuple[str, bytes]]:
    """The sentences of ``{"text": "..."}`` or ``{"texts": ["..."]}``."""
    found = content.get("texts", [content.get("text")])
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise RequestRefused(
            422, "wrong_form", '"text" is no text, or "texts" no list of texts.', 'Expected: {"text": "..."}'
        )
    return [(f"text {place}", _encoded(one, place)) for place, one in enumerate(found)]


def _encoded(text: str, place: int) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise RequestRefused(422, "no_text", f"Text {place} holds half letters.") from None


def _picture(place: int, one: object, form: str) -> tuple[str, bytes]:
    if isinstance(one, dict) and isinstance(one.get("text"), str) and not one.keys() - {"text", "name"}:
        return _name(str(one.get("name", "")), place), _encoded(one["text"], place)
    if not isinstance(one, dict) or not isinstance(one.get("b64"), str):
        raise RequestRefused(422, "wrong_form", f'Picture {place} has no text "b64".', f"Expected: {form}")
    name = one.get("name", "")
    if one.keys() - {"b64", "name"} or not isinstance(name, str):
        raise RequestRefused(422, "wrong_form", f'Picture {place} may have "b64" and "name", both text.')
    try:
        return _name(name, place), base64.b64decode(one["b64"], validate=True)
    except (binascii.Error, ValueError):
        raise RequestRefused(422, "no_base64", f"Picture {place} is no base64.") from None


def _name(given: str, place: int) -> str:
    return visible(given)[:_LONGEST_NAME] or f"image {place}"


def _some(pictures: list[tuple[str, bytes]], config: ServeConfig) -> Pictures:
    if not pictures:
        raise RequestRefused(422, "no_image", "There is no picture in the request.")
    if len(pictures) > config.max_images:
        raise too_many(config.max_images)
    return pictures


async def _drain(request: Request) -> None:
    """Read on for a moment and keep nothing: who still sends would see a broken connection instead of the answer."""
    if "expect" in request.headers:
        return
    left, more = _DRAINED, True
    with suppress(TimeoutError, ClientDisconnect):
        async with asyncio.timeout(_DRAIN_SECONDS):
            while more and left >= 0:
                part, more = await _part(request)
                left -= len(part)


def _too_large(config: ServeConfig) -> RequestRefused:
    return RequestRefused(
        413,
        "too_large",
        f"The body has more than {config.max_bytes:,} bytes.",
        "Send fewer or smaller pictures.",
        headers=CLOSE,
    )
