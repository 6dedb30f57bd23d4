"""What routes of the app share that ask a step: parameters from an address, work in a thread, errors as answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

from starlette.requests import Request

from emolab.errors import EmolabError
from emolab.safe_text import visible
from emolab.serving.app.errors import RequestRefused

P = ParamSpec("P")
T = TypeVar("T")

_LONGEST = 300


async def step(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What ``function`` gives, computed in a thread; its :class:`EmolabError` refuses the request with its hint."""
    try:
        return await asyncio.to_thread(function, *args, **kwargs)
    except EmolabError as error:
        raise RequestRefused(422, "refused", str(error.message), error.hint) from error


def text(request: Request, name: str) -> str | None:
    """The parameter ``name`` of the address; ``None`` where it is missing or empty."""
    given = request.query_params.get(name) or None
    if given is not None and len(given) > _LONGEST:
        raise RequestRefused(422, "wrong_form", f"The parameter {name} is too long.")
    return given


def number(request: Request, name: str, kind: Callable[[str], float]) -> Any:
    """The parameter ``name`` as a number of this ``kind`` (int, float). Raises :class:`RequestRefused` for another."""
    given = text(request, name)
    if given is None:
        return None
    try:
        found = kind(given)
    except ValueError:
        found = float("nan")
    if not abs(found) < 1e15:
        raise RequestRefused(422, "wrong_form", f'The parameter {name} is no number: "{visible(given)[:40]}".')
    return found


def yes_or_no(request: Request, name: str) -> bool | None:
    """The parameter ``name`` as yes (1) or no (0); ``None`` where it is missing."""
    given = text(request, name)
    if given not in (None, "0", "1"):
        raise RequestRefused(422, "wrong_form", f"The parameter {name} is 1 or 0.")
    return None if given is None else given == "1"


def one_of(request: Request, name: str, known: tuple[str, ...]) -> str | None:
    """The parameter ``name``, which is one of ``known`` or missing."""
    given = text(request, name)
    if given is not None and given not in known:
        raise RequestRefused(422, "wrong_form", f"The parameter {name} is one of {', '.join(known)}.")
    return given


def texts(body: Mapping[str, Any], name: str, *, most: int) -> list[str]:
    """The list of texts ``name`` in a body, of one to ``most``. Raises :class:`RequestRefused` for another."""
    given = body.get(name)
    if not isinstance(given, list) or not all(isinstance(each, str) and len(each) <= _LONGEST for each in given):
        raise RequestRefused(422, "wrong_form", f'There is no list of texts "{name}" in the JSON.')
    if not 0 < len(given) <= most:
        raise RequestRefused(422, "wrong_form", f'"{name}" holds {len(given)} texts; expected 1 to {most}.')
    return given
