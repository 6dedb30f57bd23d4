"""The page of the models: how far they came, where each fails, two side by side, and the card."""

from __future__ import annotations

import functools

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from emolab.loop.look.apart import apart
from emolab.loop.look.model_view import model_view, models_view, two_models
from emolab.serving.app.errors import JSONAnswer
from emolab.serving.people import Person
from emolab.serving.workbench.asking import step
from emolab.serving.workbench.session import APP, Workbench, allowed


def routes(bench: Workbench) -> list[BaseRoute]:
    """The routes of the page."""
    cards: dict[str, str] = {}

    @allowed("reader")
    async def card(request: Request, bench: Workbench, person: Person) -> Response:
        """The model's card as Markdown. It is written by code that needs PyTorch, in a process of its own."""
        del person
        name = request.path_params["id"]
        model = (await step(model_view, bench.workspace, name)).model["id"]
        if model not in cards:
            found = await step(apart, bench.workspace, "emolab.loop.model.card", "card", model=model)
            cards[model] = found["card"]
        return JSONAnswer({"model": model, "card": cards[model]})

    handlers = {"": every, "/{id}": one, "/{id}/beside/{other}": beside, "/{id}/card": card}
    return [
        Route(f"{APP}/api/models{path}", functools.partial(handler, bench=bench), methods=["GET"])
        for path, handler in handlers.items()
    ]


@allowed("reader")
async def every(request: Request, bench: Workbench, person: Person) -> Response:
    """All models with their figures."""
    del request, person
    return JSONAnswer((await step(models_view, bench.workspace)).to_dict())


@allowed("reader")
async def one(request: Request, bench: Workbench, person: Person) -> Response:
    """One model's figures on its validation samples."""
    del person
    return JSONAnswer((await step(model_view, bench.workspace, request.path_params["id"])).to_dict())


@allowed("reader")
async def beside(request: Request, bench: Workbench, person: Person) -> Response:
    """Two models on the validation samples they share."""
    del person
    names = request.path_params
    return JSONAnswer((await step(two_models, bench.workspace, names["id"], names["other"])).to_dict())
