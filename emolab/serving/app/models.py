"""Which models answer, and the card of each."""

from __future__ import annotations

from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from emolab.serving.app.errors import JSONAnswer, RequestRefused
from emolab.serving.model_host import ModelVersion
from emolab.serving.service import Service

#: Characters of an id that are enough to mean it.
_ENOUGH = 6


async def models(request: Request) -> Response:
    """The model that answers, and the candidate that answers unseen."""
    return JSONAnswer({"models": [_told(version, role) for version, role in at_work(request.app.state.service)]})


async def model(request: Request) -> Response:
    """One of them with its card, by name, id or the start of its id."""
    wanted = request.path_params["id"]
    for version, role in at_work(request.app.state.service):
        if wanted == version.name or (len(wanted) >= _ENOUGH and version.id.startswith(wanted)):
            return JSONAnswer({**_told(version, role), "card": version.card})
    raise RequestRefused(404, "unknown_model", "No model of that name or id answers here.", "See /v1/models.")


def at_work(service: Service) -> list[tuple[ModelVersion, str]]:
    """Every version at work and its role: ``serving`` or ``shadow``."""
    found = [(service.host.version, "serving")]
    return found if service.shadow is None else [*found, (service.shadow.version, "shadow")]


def _told(version: ModelVersion, role: str) -> dict[str, object]:
    return {
        "id": version.id,
        "name": version.name,
        "role": role,
        "classes": list(version.classes),
        "input": version.predictor.described(),
        "loaded_at": datetime.fromtimestamp(version.loaded_at, UTC).isoformat(timespec="seconds"),
    }


ROUTES = [Route("/v1/models", models, methods=["GET"]), Route("/v1/models/{id}", model, methods=["GET"])]
