"""The page where a picture or the camera is tried on the model that answers."""

from __future__ import annotations

import functools

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from emolab.serving.app.predict import predict
from emolab.serving.people import Person
from emolab.serving.workbench.session import APP, Workbench, allowed


def routes(bench: Workbench) -> list[BaseRoute]:
    """The route of the page."""
    return [Route(f"{APP}/api/try", functools.partial(answer, bench=bench), methods=["POST"])]


@allowed("reader")
async def answer(request: Request, bench: Workbench, person: Person) -> Response:
    """What the model says of a picture, as ``/v1/predict`` says it: counted and noted with the person's name."""
    del bench
    request.state.who = person.name
    return await predict(request)
