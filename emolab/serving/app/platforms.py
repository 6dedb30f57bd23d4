"""What Cloud Run and Vertex AI expect of a container: paths that they name in the environment, bodies of their form.

Vertex AI sends ``{"instances": [{"b64": "..."}]}`` to $AIP_PREDICT_ROUTE, and asks $AIP_HEALTH_ROUTE whether the
container takes requests. Cloud Run asks for nothing but the port (:mod:`emolab.cli.serve`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from emolab.serving.app.bodies import pictures_of_json
from emolab.serving.app.errors import JSONAnswer
from emolab.serving.app.health import ready
from emolab.serving.app.predict import answers_to, told_of


async def instances(request: Request) -> Response:
    """Classify pictures as Vertex AI sends them: an answer for each, in order."""
    config = request.app.state.service.config
    parse = partial(pictures_of_json, config=config, key="instances", also=("parameters",))
    answered = await answers_to(request, parse)
    return JSONAnswer({"predictions": told_of(answered)})


def routes(environment: Mapping[str, str]) -> list[Route]:
    """The routes that the platform names in its ``environment``; none elsewhere."""
    found = []
    if path := environment.get("AIP_PREDICT_ROUTE"):
        found.append(Route(path, instances, methods=["POST"]))
    if path := environment.get("AIP_HEALTH_ROUTE"):
        found.append(Route(path, ready, methods=["GET"]))
    return found
