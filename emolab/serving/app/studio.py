"""Label Studio's ML-backend protocol (1.20 to 1.23): `/setup`, `/predict`, `/webhook`; `/health` is the server's own.

What Label Studio sends is taken as it comes: payloads without an annotation, tasks of anybody. Its `/setup` brings the
token of the project's creator; that is dropped unread, and never logged. Keys come as the password of HTTP Basic.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from emolab.files import TooLarge, read_file
from emolab.labeling.form import controls
from emolab.loop.label.backend.assist import Assistant, PullSoon
from emolab.serving.answers import ImageAnswer
from emolab.serving.app.bodies import json_object, read_body
from emolab.serving.app.errors import JSONAnswer, RequestRefused
from emolab.serving.app.predict import Held, noted
from emolab.serving.model_host import Answered
from emolab.serving.service import Service

#: Samples that are answered at a time, so that other callers have their turn.
TOGETHER = 64
#: Tasks that one request may ask about; Label Studio sends up to 1,000 at a time.
MOST_TASKS = 5_000


def routes(assistant: Assistant, pulls: PullSoon) -> list[Route]:
    """The routes of an ML backend for the tasks of one workspace."""
    return [
        Route("/setup", setup, methods=["POST"]),
        Route("/predict", partial(predict, assistant=assistant), methods=["POST"]),
        Route("/webhook", partial(webhook, pulls=pulls), methods=["POST"]),
    ]


def version_of(service: Service) -> str:
    """What the server's model is called in Label Studio."""
    return f"model {service.host.version.id[:12]}"


async def setup(request: Request) -> Response:
    """Say which model answers. The body, with its token, is read to its end and forgotten."""
    service: Service = request.app.state.service
    await _body(request, service)
    return JSONAnswer({"model_version": version_of(service)})


async def predict(request: Request, *, assistant: Assistant) -> Response:
    """A result for each task, in their order; an empty one where nothing is said."""
    service: Service = request.app.state.service
    content = json_object(await _body(request, service))
    tasks, several = _tasks(content), controls.takes_several(str(content.get("label_config")))
    version = version_of(service)
    files = await asyncio.to_thread(assistant.files, tasks)
    pictures = await asyncio.to_thread(_read, files, service.config.max_bytes)
    found: dict[int, ImageAnswer] = {}
    numbers = list(pictures)
    for start in range(0, len(numbers), TOGETHER):
        part = {number: pictures[number] for number in numbers[start : start + TOGETHER]}
        found |= await _answers(request, service, part)
    results = [assistant.result(task, found.get(number), version, several=several) for number, task in enumerate(tasks)]
    return JSONAnswer({"results": results, "model_version": version})


async def _answers(request: Request, service: Service, pictures: Mapping[int, bytes]) -> dict[int, ImageAnswer]:
    """What the model says about samples, by place. They are faces already, so none is looked for in them."""
    held, version = Held(service.capacity), service.host.version
    reader = version.predictor.as_samples()
    named = [(str(number), data) for number, data in pictures.items()]
    done = False
    try:
        held.more(images=len(named))
        answers = await asyncio.to_thread(lambda: list(reader.predict(named)))
        done = True
    finally:
        service.capacity.leave(images=held.images, size=held.size, answered=done)
    noted(request, Answered(version=version, answers=tuple(answers)))
    return dict(zip(pictures, answers, strict=True))


async def webhook(request: Request, *, pulls: PullSoon) -> Response:
    """Answer at once, and pull soon: whatever the action was, a pull finds what there is."""
    await _body(request, request.app.state.service)
    pulls.ask()
    return JSONAnswer({"status": "ok"})


async def _body(request: Request, service: Service) -> bytes:
    held = Held(service.capacity)
    try:
        return await read_body(request, service.config, lambda size: held.more(size=size))
    finally:
        service.capacity.leave(images=held.images, size=held.size, answered=False)


def _tasks(content: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    tasks = content.get("tasks")
    if not isinstance(tasks, list):
        raise RequestRefused(422, "wrong_form", 'There is no list "tasks" in the JSON.')
    if len(tasks) > MOST_TASKS:
        raise RequestRefused(413, "too_many_tasks", f"More than {MOST_TASKS:,} tasks in one request.")
    return tasks


def _read(files: Sequence[Path | None], limit: int) -> dict[int, bytes]:
    """The bytes of the files that can be read, by place; of the others nothing is said."""
    found = {}
    for number, file in enumerate(files):
        if file is not None:
            try:
                found[number] = read_file(file, limit=limit)
            except (OSError, TooLarge):
                continue
    return found
