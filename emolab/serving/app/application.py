"""The application, as data: lists of routes, and the layers around them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from emolab.serving.app import health, metrics, models, openapi, platforms, predict
from emolab.serving.app.envelope import Envelope
from emolab.serving.app.errors import RequestRefused, as_response
from emolab.serving.app.guard import Guard
from emolab.serving.app.metrics import Metrics
from emolab.serving.service import Service

ROUTES: list[Route] = [*predict.ROUTES, *models.ROUTES, *health.ROUTES, *metrics.ROUTES, *openapi.ROUTES]


def create(
    service: Service,
    *,
    more: Sequence[BaseRoute] = (),
    by_session: str | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Starlette:
    """The application that serves ``service``, with ``more`` routes and those that the platform asks for.

    Below the path ``by_session`` no key is asked for: the routes there know their people by sessions.
    """
    counters = Metrics(service)
    platform = platforms.routes(environment)
    app = Starlette(
        routes=[*ROUTES, *platform, *more],
        middleware=[
            Middleware(Envelope, metrics=counters, service=service),
            Middleware(
                Guard,
                service=service,
                free=tuple(route.path for route in platform if "GET" in _of(route)),
                by_session=by_session,
            ),
            Middleware(ShortWay),
        ],
        exception_handlers={RequestRefused: _refused, HTTPException: _unknown},
    )
    app.state.service, app.state.metrics = service, counters
    return app


class ShortWay:
    """Leads what callers ask most, ``POST /v1/predict``, past the routing: that costs more than all of its own work."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or hand it on."""
        if scope["type"] != "http" or scope["path"] != predict.PATH or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        scope["endpoint"] = predict.predict
        try:
            response = await predict.predict(Request(scope, receive, send))
        except RequestRefused as error:
            response = as_response(error)
        await response(scope, receive, send)


def _of(route: Route) -> set[str]:
    return route.methods or set()


async def _refused(request: Request, error: Exception) -> Response:
    del request
    assert isinstance(error, RequestRefused)  # noqa: S101 (Starlette's type for handlers is wider than what it does)
    return as_response(error)


async def _unknown(request: Request, error: Exception) -> Response:
    """Paths and methods that there are not."""
    del request
    assert isinstance(error, HTTPException)  # noqa: S101
    kind, hint = {404: ("unknown_path", "See /openapi.json."), 405: ("wrong_method", "See /openapi.json.")}.get(
        error.status_code, ("refused", None)
    )
    told = RequestRefused(error.status_code, kind, f"{error.detail}.", hint, headers=error.headers)
    return as_response(told)
