"""Whether the server lives, and whether it takes requests."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from emolab.serving.app.errors import JSONAnswer, RequestRefused


async def health(request: Request) -> Response:
    """That the process answers."""
    del request
    return JSONAnswer({"status": "alive"})


async def ready(request: Request) -> Response:
    """That the model is warm, and that the server does not stop."""
    if not request.app.state.service.ready:
        raise RequestRefused(503, "not_ready", "The server starts or stops.", headers={"retry-after": "1"})
    return JSONAnswer({"status": "ready"})


ROUTES = [Route("/health", health, methods=["GET"]), Route("/ready", ready, methods=["GET"])]
