"""The page where a picture, a video or the camera is tried on the model that answers; none of it is kept."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from emolab.inference.uncertainty import Uncertainty, level_for
from emolab.serving.app.bodies import parsed, pictures_of, read_body
from emolab.serving.app.errors import JSONAnswer, RequestRefused
from emolab.serving.app.predict import Held, answers_to, image_told
from emolab.serving.face_maps import FaceMap, FaceMaps
from emolab.serving.model_host import ModelVersion, Pictures
from emolab.serving.people import Person
from emolab.serving.service import Service
from emolab.serving.workbench.asking import number, step
from emolab.serving.workbench.session import APP, Workbench, allowed

#: How often the sets of classes hold the right one, where ``serve.coverage`` says nothing else.
COVERAGE = 0.9
#: The most faces of a picture that may be asked about.
_MOST_FACES = 10_000


def routes(bench: Workbench) -> list[BaseRoute]:
    """The routes of the page."""
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

    def at(path: str, handler: Any) -> Route:
        return Route(f"{APP}/api/try{path}", functools.partial(handler, bench=bench), methods=["POST"])

    return [at("", answer), at("/looked", looked)]


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
        raise RequestRefused(422, "unreadable", found.error, "Send a JPEG, PNG, WebP or another picture.")
    image = image_told(found, answered.version.classes)
    service: Service = request.app.state.service
    coverage = service.config.coverage or COVERAGE
    sets = _sets(answered.version, coverage)
    if sets is not None:
        for face, told in zip(found.faces, image["faces"], strict=True):  # type: ignore[call-overload]
            told["among"] = [answered.version.classes[i] for i in sets.among(face.probs) or ()]
    model = answered.version.id
    return JSONAnswer({"model": model, "coverage": None if sets is None else coverage, "images": [image]})


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


def _map_told(found: FaceMap) -> Mapping[str, Any]:
    return {
        "model": found.model,
        "label": found.label,
        "way": found.way,
        "values": [[round(float(value), 2) for value in row] for row in found.values],
        "cut": None if found.cut is None else dict(zip(("x", "y", "width", "height"), found.cut, strict=True)),
    }
