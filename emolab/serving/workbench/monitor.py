"""The page of the monitor: the looks at a model at work, its alarms, and who was told."""

from __future__ import annotations

import functools

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from emolab.loop.look.monitor_view import monitor_view, stamp_of
from emolab.serving.app.errors import JSONAnswer
from emolab.serving.people import Person
from emolab.serving.service import Service
from emolab.serving.workbench.asking import step, text
from emolab.serving.workbench.session import APP, Workbench, allowed


def routes(bench: Workbench) -> list[BaseRoute]:
    """The route of the page."""
    return [Route(f"{APP}/api/monitor", functools.partial(watched, bench=bench), methods=["GET"])]


@allowed("reader")
async def watched(request: Request, bench: Workbench, person: Person) -> Response:
    """The looks at the model that answers, or at ``model``; only the ``stamp`` while the given one still holds."""
    del person
    service: Service = request.app.state.service
    serving, logging, model = service.host.version.id, service.unlogged is not None, text(request, "model")
    given, workspace = text(request, "stamp"), bench.workspace
    if given is not None and given == await step(stamp_of, workspace, serving=serving, logging=logging, model=model):
        return JSONAnswer({"stamp": given})
    found = await step(monitor_view, workspace, serving=serving, logging=logging, model=model)
    return JSONAnswer(found.to_dict())
