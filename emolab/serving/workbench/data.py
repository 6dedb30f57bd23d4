"""The page of the data: a wall of samples, one of them in full, and what is done with those that were chosen."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from emolab.files import TooLarge, read_file
from emolab.loop.look.apart import apart
from emolab.loop.look.choose import ask_about
from emolab.loop.look.sample_view import media_of, sample_view
from emolab.loop.look.thumbnails import Thumbnails
from emolab.loop.look.wall import PAGE, WallRequest, wall, wall_choices, wall_count
from emolab.modalities.modality import open_modality
from emolab.records import SPLITS
from emolab.serving.app.errors import JSONAnswer, RequestRefused
from emolab.serving.people import Person
from emolab.serving.workbench.asking import number, one_of, step, text, texts, yes_or_no
from emolab.serving.workbench.session import APP, Workbench, allowed, json_body

#: Samples that one request may change.
MOST_CHOSEN = 500
#: Steps that go through all samples: in processes of their own, for of a million they need 600 MB.
REMOVE, SET_SPLIT = ("emolab.loop.data.remove", "remove"), ("emolab.loop.data.split", "set_split")
#: Pictures are called by their content, so a browser may keep them; but nobody else on its way.
KEPT = {"cache-control": "private, max-age=86400, immutable", "content-security-policy": "default-src 'none'"}
#: Thumbnails that are made at the same time.
_AT_ONCE = 4


def routes(bench: Workbench) -> list[BaseRoute]:
    """The routes of the page, and of the pictures on it."""
    thumbnails, turns = Thumbnails(bench.workspace), asyncio.Semaphore(_AT_ONCE)

    @allowed("reader")
    async def small(request: Request, bench: Workbench, person: Person) -> Response:
        """The thumbnail of a sample that there is."""
        del person
        async with turns:
            data = await step(_small, bench, thumbnails, request.path_params["id"])
        return Response(data, media_type=thumbnails.media_type, headers=KEPT)

    @allowed("owner")
    async def exclude(request: Request, bench: Workbench, person: Person) -> Response:
        """Take samples out; with ``dry_run`` only say what would go."""
        body = await json_body(request)
        ids, dry_run = texts(body, "ids", most=MOST_CHOSEN), _dry(body)
        found = await step(apart, bench.workspace, *REMOVE, ids=ids, dry_run=dry_run)
        if not dry_run:
            thumbnails.forget(ids)
            bench.note(person, "exclude", {"samples": ids, "removed": found["removed"]})
        return JSONAnswer(found)

    def at(path: str, handler: Callable[..., Any], method: str = "GET") -> Route:
        return Route(f"{APP}/{path}", functools.partial(handler, bench=bench), methods=[method])

    return [
        at("api/data/choices", choices),
        at("api/data/wall", page),
        at("api/data/count", counted),
        at("api/data/samples/{id}", sample),
        at("api/data/ask", ask, "POST"),
        at("api/data/split", split, "POST"),
        at("api/data/exclude", exclude, "POST"),
        at("pictures/small/{id}", small),
        at("pictures/{id}", picture),
    ]


@allowed("reader")
async def choices(request: Request, bench: Workbench, person: Person) -> Response:
    """What the wall can be filtered by, with counts, and whether this person may change anything."""
    del request
    found = await step(wall_choices, bench.workspace)
    return JSONAnswer({**found.to_dict(), "may_change": person.may("owner"), "most_chosen": MOST_CHOSEN})


@allowed("reader")
async def page(request: Request, bench: Workbench, person: Person) -> Response:
    """A page of the wall."""
    del person
    wanted, n = _wanted(request), number(request, "n", int) or PAGE
    return JSONAnswer((await step(wall, bench.workspace, wanted, after=text(request, "after"), n=n)).to_dict())


@allowed("reader")
async def counted(request: Request, bench: Workbench, person: Person) -> Response:
    """How many samples fit, or fit among the next part of them."""
    del person
    found = await step(wall_count, bench.workspace, _wanted(request), after=text(request, "after"))
    return JSONAnswer(found.to_dict())


@allowed("reader")
async def sample(request: Request, bench: Workbench, person: Person) -> Response:
    """All that is known of one sample."""
    del person
    return JSONAnswer((await step(sample_view, bench.workspace, request.path_params["id"])).to_dict())


@allowed("reader")
async def picture(request: Request, bench: Workbench, person: Person) -> Response:
    """The picture of a sample as it was stored, which is without metadata."""
    del person
    found = await step(media_of, bench.workspace, request.path_params["id"])
    file = bench.workspace.locate(found.media)
    try:
        data = await asyncio.to_thread(read_file, file, limit=bench.workspace.config.collect.max_bytes)
    except (OSError, TooLarge):
        raise RequestRefused(404, "no_file", "The file of this sample is missing or too large.") from None
    _, kind = open_modality(bench.workspace.config.project.modality).file_type(data) or ("", "")
    if not kind:
        raise RequestRefused(415, "no_picture", "This sample is nothing that a browser shows.")
    return Response(data, media_type=kind, headers=KEPT)


@allowed("owner")
async def ask(request: Request, bench: Workbench, person: Person) -> Response:
    """Store samples as the next round, which a push sends to the team."""
    ids = texts(await json_body(request), "ids", most=MOST_CHOSEN)
    found = await step(ask_about, bench.workspace, ids, by=person.name)
    bench.note(person, "ask", {"round": found.round, "samples": ids})
    return JSONAnswer(found.to_dict())


@allowed("owner")
async def split(request: Request, bench: Workbench, person: Person) -> Response:
    """Put samples into a split, or into none; with ``dry_run`` only say what would move."""
    body = await json_body(request)
    ids, name, dry_run = texts(body, "ids", most=MOST_CHOSEN), body.get("split"), _dry(body)
    if name not in (*SPLITS, "none"):
        raise RequestRefused(422, "wrong_form", f"A split is one of {', '.join(SPLITS)}, none.")
    wanted = None if name == "none" else name
    found = await step(apart, bench.workspace, *SET_SPLIT, name=wanted, ids=ids, dry_run=dry_run)
    if not dry_run:
        bench.note(person, "split", {"split": name, "samples": ids, "moved": found["moved"]})
    return JSONAnswer(found)


def _small(bench: Workbench, thumbnails: Thumbnails, sample_id: str) -> bytes:
    return thumbnails.get(sample_id, media_of(bench.workspace, sample_id).media)


def _wanted(request: Request) -> WallRequest:
    agreement = number(request, "agreement", float)
    return WallRequest(
        label=text(request, "class"),
        source=text(request, "source"),
        split=one_of(request, "split", (*SPLITS, "none")),
        round=number(request, "round", int),
        agreement=agreement,
        duplicates=yes_or_no(request, "duplicates") or False,
        unfit=text(request, "unfit"),
        answered=yes_or_no(request, "answered"),
        of=text(request, "of"),
        order=one_of(request, "order", ("newest", "disagreement", "rank")) or "newest",  # type: ignore[arg-type]
    )


def _dry(body: Mapping[str, Any]) -> bool:
    found = body.get("dry_run", False)
    if not isinstance(found, bool):
        raise RequestRefused(422, "wrong_form", '"dry_run" is true or false.')
    return found
