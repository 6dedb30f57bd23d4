"""The page where a picture, a video or the camera is tried on the model that answers.

None of it is kept, but for a face of which an owner says that the model is wrong: that one becomes a sample.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from emolab.config import ServeConfig
from emolab.errors import EmolabError
from emolab.inference.uncertainty import Uncertainty, level_for
from emolab.loop.label.voting.desk import AnsweredAlready
from emolab.loop.label.voting.near_copies import NearCopies
from emolab.loop.label.voting.wrong_answer import WrongAnswer, keep_wrong, take_back
from emolab.serving.app.bodies import json_object, parsed, pictures_of, pictures_of_json, read_body
from emolab.serving.app.errors import JSONAnswer, RequestRefused
from emolab.serving.app.predict import Held, answers_to, told_of
from emolab.serving.face_maps import FaceMap, FaceMaps
from emolab.serving.model_host import ModelVersion, Pictures
from emolab.serving.people import Person
from emolab.serving.service import Service
from emolab.serving.workbench.asking import number, step
from emolab.serving.workbench.session import APP, MOST_BYTES, Workbench, allowed, json_body

#: How often the sets of classes hold the right one, where ``serve.coverage`` says nothing else.
COVERAGE = 0.9
#: What stands beside the picture where somebody says that an answer is wrong.
_ABOUT = ("id", "label", "shown", "box", "face", "agreed", "sitting")
#: The most faces of a picture that may be asked about.
_MOST_FACES = 10_000


def routes(bench: Workbench, stack: ExitStack) -> list[BaseRoute]:
    """The routes of the page; ``stack`` ends what they started."""
    turn = asyncio.Semaphore(1)  # a map may cost some hundred answers
    kept: dict[str, FaceMaps] = {}

    @allowed("reader")
    async def looked(request: Request, bench: Workbench, person: Person) -> Response:
        """What the model looked at in one face of a picture."""
        del bench, person
        service: Service = request.app.state.service
        face = number(request, "face", int) or 1
        if not 1 <= face <= _MOST_FACES:
            raise RequestRefused(422, "wrong_form", "There is no such face.")
        async with _picture(request) as data, turn:
            maps = kept.setdefault("maps", FaceMaps(service.host))
            found = await step(maps.of, data, face)
        return JSONAnswer(_map_told(found))

    copies = NearCopies(bench.workspace)
    stack.callback(copies.close)

    @allowed("owner")
    async def wrong(request: Request, bench: Workbench, person: Person) -> Response:
        """Keep a face that the model got wrong, with what the person says about it, once."""
        given = await _wrong(request)
        try:
            kept = await asyncio.to_thread(keep_wrong, bench.workspace, bench.people, person.name, given)
        except AnsweredAlready as error:
            raise RequestRefused(409, "answered_already", error.message) from None
        except EmolabError as error:
            raise RequestRefused(422, "not_taken", error.message, error.hint) from None
        if kept.voted:
            about = {"sample": kept.sample, "answer": given.id, "new": kept.new, "agreed": given.agreed}
            bench.note(person, "wrong", about)
        if kept.new:
            copies.ask()
        return JSONAnswer({"stored": given.id, "sample": kept.sample, "new": kept.new})

    def at(path: str, handler: Any) -> Route:
        return Route(f"{APP}/api/try{path}", functools.partial(handler, bench=bench), methods=["POST"])

    return [at("", answer), at("/looked", looked), at("/wrong", wrong), at("/wrong/undo", undo)]


@allowed("owner")
async def undo(request: Request, bench: Workbench, person: Person) -> Response:
    """Take what one has said about a face back; the face stays a sample."""
    told = (await json_body(request)).get("answer")
    if not isinstance(told, str):
        raise RequestRefused(422, "wrong_form", 'There is no text "answer" in the JSON.')
    sample = await step(take_back, bench.workspace, bench.people, person.name, told)
    bench.note(person, "undo wrong", {"sample": sample, "answer": told})
    return JSONAnswer({"sample": sample})


@allowed("reader")
async def answer(request: Request, bench: Workbench, person: Person) -> Response:
    """What the model says of a picture, as ``/v1/predict`` says it: counted and noted with the person's name.

    Beside the probabilities stands the set of classes that holds the right one as often as ``coverage`` says, where
    the model was fitted to say so.
    """
    del bench
    request.state.who = person.name
    answered = await answers_to(request, functools.partial(_one, request=request))
    found = answered.answers[0]
    if found.error is not None:
        raise RequestRefused(422, "unreadable", found.error, answered.version.predictor.expected)
    (image,) = told_of(answered)
    service: Service = request.app.state.service
    pictures = answered.version.predictor.takes_pictures
    coverage = service.config.coverage or COVERAGE
    sets = _sets(answered.version, coverage)
    if sets is not None:
        rows: Any = image["faces"] if pictures else [image]
        for face, told in zip(found.faces, rows, strict=True):
            told["among"] = [answered.version.classes[i] for i in sets.among(face.probs) or ()]
    stated = {"model": answered.version.id, "coverage": None if sets is None else coverage}
    return JSONAnswer({**stated, "images" if pictures else "samples": [image]})


def _sets(version: ModelVersion, coverage: float) -> Uncertainty | None:
    level = level_for(version.predictor.model.conformal, coverage)
    return None if level is None else Uncertainty(level=level)


def _one(body: bytes, request: Request) -> Pictures:
    """The one picture in a body. Raises :class:`RequestRefused` for none, or several."""
    found = pictures_of(body, request.headers.get("content-type", ""), request.app.state.service.config)
    if len(found) != 1:
        raise RequestRefused(422, "wrong_form", "There is more than one picture in the request.")
    return found


@asynccontextmanager
async def _picture(request: Request) -> AsyncIterator[bytes]:
    """The picture in the body, which takes its part of the server's capacity while it is worked on."""
    service: Service = request.app.state.service
    held, done = Held(service.capacity), False
    try:
        held.more(images=1)
        body = await read_body(request, service.config, lambda size: held.more(size=size))
        yield (await parsed(body, functools.partial(_one, request=request)))[0][1]
        done = True
    finally:
        service.capacity.leave(images=held.images, size=held.size, answered=done)


async def _wrong(request: Request) -> WrongAnswer:
    """What the page says of a face, with its picture. Raises :class:`RequestRefused` for another form or size."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise RequestRefused(415, "unknown_type", "The body is not called application/json.")
    service: Service = request.app.state.service
    held = Held(service.capacity)
    settings = replace(service.config, max_bytes=service.config.max_bytes * 4 // 3 + MOST_BYTES)  # base64, and the rest
    try:
        body = await read_body(request, settings, lambda size: held.more(size=size))
        return await parsed(body, functools.partial(_wrong_of, config=service.config))
    finally:
        service.capacity.leave(size=held.size, answered=False)


def _wrong_of(body: bytes, config: ServeConfig) -> WrongAnswer:
    told = json_object(body)
    pictures = pictures_of_json(body, config, also=_ABOUT)
    texts = {name: told.get(name) for name in ("id", "label", "shown")}
    box, face, agreed, sitting = (told.get(name) for name in ("box", "face", "agreed", "sitting"))
    if (
        len(pictures) != 1
        or not all(isinstance(text, str) and len(text) <= 200 for text in texts.values())
        or type(face) is not int
        or type(agreed) is not bool
        or not (sitting is None or isinstance(sitting, str))
        or not (box is None or (isinstance(box, list) and len(box) == 4 and all(type(side) is int for side in box)))
    ):
        raise RequestRefused(422, "wrong_form", f"Expected one picture, and {', '.join(_ABOUT)}.")
    name, data = pictures[0]
    words = {key: str(text) for key, text in texts.items()}
    place = None if box is None else (box[0], box[1], box[2], box[3])
    return WrongAnswer(picture=data, name=name, face=face, box=place, agreed=agreed, sitting=sitting, **words)


def _map_told(found: FaceMap) -> Mapping[str, Any]:
    return {
        "model": found.model,
        "label": found.label,
        "way": found.way,
        "values": [[round(float(value), 2) for value in row] for row in found.values],
        "cut": None if found.cut is None else dict(zip(("x", "y", "width", "height"), found.cut, strict=True)),
    }
