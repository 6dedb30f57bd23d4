"""Pictures in, answers out: ``POST /v1/predict``."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from emolab.serving.answers import FaceAnswer, ImageAnswer
from emolab.serving.app.bodies import parsed, pictures_of, read_body
from emolab.serving.app.errors import JSONAnswer, RequestRefused, overloaded
from emolab.serving.audit import class_counts
from emolab.serving.capacity import Capacity, Overloaded
from emolab.serving.model_host import Answered, Pictures, TooManyFaces
from emolab.serving.service import Service

logger = logging.getLogger("emolab.serving")

PATH = "/v1/predict"
BOX = ("x", "y", "width", "height")
LANDMARKS = ("right_eye", "left_eye", "nose", "right_mouth", "left_mouth")


async def predict(request: Request) -> Response:
    """Classify one picture or several."""
    config = request.app.state.service.config
    content_type = request.headers.get("content-type", "")
    answered = await answers_to(request, partial(pictures_of, content_type=content_type, config=config))
    version = answered.version
    if len(answered.answers) == 1 and answered.answers[0].error is not None:
        raise RequestRefused(422, "unreadable", answered.answers[0].error, version.predictor.expected)
    key = "images" if version.predictor.takes_pictures else "samples"
    return JSONAnswer({"model": version.id, "request": request.state.request_id, key: told_of(answered)})


@dataclass(slots=True)
class Held:
    """What one request takes of the server's capacity; all of it is given back at its end."""

    capacity: Capacity
    images: int = 0
    size: int = 0

    def more(self, *, images: int = 0, size: int = 0) -> None:
        """Take more of it. Raises :class:`RequestRefused` where there is no room."""
        try:
            self.capacity.enter(images=images, size=size, own=self.images)
        except Overloaded as error:
            raise overloaded(error) from None
        self.images += images
        self.size += size


async def answers_to(request: Request, parse: Callable[[bytes], Pictures]) -> Answered:
    """What the model says about the pictures that ``parse`` finds in the body; counted and noted in the audit log.

    Raises :class:`RequestRefused` for everything that cannot be answered.
    """
    service: Service = request.app.state.service
    if request.scope["query_string"]:
        raise RequestRefused(422, "unknown_parameter", "There are no parameters in the address.", "Remove them.")
    held, done = Held(service.capacity), False
    try:
        held.more(images=1)
        body = await read_body(request, service.config, lambda size: held.more(size=size))
        pictures = await parsed(body, parse)
        held.more(images=len(pictures) - 1)
        answered = await _answer(service, pictures)
        done = True
    finally:
        service.capacity.leave(images=held.images, size=held.size, answered=done)
    noted(request, answered)
    return answered


def noted(request: Request, answered: Answered) -> None:
    """Count the answers, and note who asked for them.

    Whoever asked gets the answer also where the note cannot be written, as on a full disk: that is logged and counted.
    """
    state = request.app.state
    state.metrics.answers(answered.version.id, answered.answers)
    line = {
        "request": request.state.request_id,
        "who": request.state.who,
        "model": answered.version.id,
        "images": len(answered.answers),
        "errors": sum(answer.error is not None for answer in answered.answers),
        "classes": class_counts(answered.answers),
    }
    try:
        state.service.audit.write(line)
    except OSError as error:
        state.metrics.unnoted()
        logger.error("request %s is not in the audit log: %s", line["request"], error.strerror or error)


async def _answer(service: Service, pictures: Pictures) -> Answered:
    timeout = service.config.timeout
    try:
        return await _outcome(service.host.submit(pictures), timeout)
    except TimeoutError:
        raise RequestRefused(
            408, "timeout", f"There was no answer within {timeout:g} s.", "Send fewer or smaller pictures."
        ) from None
    except TooManyFaces as error:
        raise RequestRefused(
            422,
            "too_many_faces",
            f"There are {error.found} faces in the request; at most {error.most} are answered.",
            "Send fewer pictures at a time.",
        ) from None


async def _outcome(future: Future[Answered], seconds: float) -> Answered:
    """What ``future`` comes to, which threads complete; it is cancelled after ``seconds``, or when nobody waits for it.

    It does what :func:`asyncio.wrap_future` in :func:`asyncio.timeout` does, in a third of the time. Raises
    :class:`TimeoutError`, and what the future raises.
    """
    loop = asyncio.get_running_loop()
    woken = asyncio.Event()

    def done(_: Future[Answered]) -> None:
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(woken.set)

    future.add_done_callback(done)
    timer = loop.call_later(seconds, woken.set)
    try:
        await woken.wait()
    finally:
        timer.cancel()
        future.cancel()  # nothing happens to one that is done
    try:
        return future.result(0)
    except CancelledError:
        raise TimeoutError from None


def told_of(answered: Answered) -> list[dict[str, object]]:
    """Every answer, ready for JSON: of pictures with their faces, of samples with all their labels."""
    version = answered.version
    told = image_told if version.predictor.takes_pictures else _sample_told
    return [told(answer, version.classes) for answer in answered.answers]


def _sample_told(answer: ImageAnswer, classes: tuple[str, ...]) -> dict[str, object]:
    """The answer about one sentence or the like, which may have several labels."""
    if answer.error is not None or not answer.faces:
        return {"name": answer.name, "error": answer.error}
    sample = answer.faces[0]
    told = {"name": answer.name, "error": None, "sample": sample.sample, "labels": list(sample.labels or ())}
    return told | _face_told(sample, classes)


def image_told(answer: ImageAnswer, classes: tuple[str, ...]) -> dict[str, object]:
    """One picture's answer, ready for JSON."""
    return {
        "name": answer.name,
        "size": None if answer.size is None else list(answer.size),
        "no_face": answer.no_face,
        "error": answer.error,
        "note": answer.note,
        "faces": [_face_told(face, classes) for face in answer.faces],
    }


def _face_told(face: FaceAnswer, classes: tuple[str, ...]) -> dict[str, object]:
    told: dict[str, object] = {
        "label": face.label,
        "confidence": round(face.confidence, 6),
        "probs": {name: round(p, 6) for name, p in zip(classes, face.probs.tolist(), strict=True)},
        "unsure": face.unsure,
        "note": face.note,
    }
    if face.among is not None:
        told["among"] = list(face.among)
    if face.place is not None:
        place = face.place
        told |= {
            "face": place.number,
            "box": dict(zip(BOX, place.box, strict=True)),
            "landmarks": {
                name: [round(x, 1), round(y, 1)] for name, (x, y) in zip(LANDMARKS, place.landmarks, strict=True)
            },
            "score": round(place.score, 4),
        }
    return told


ROUTES = [Route(PATH, predict, methods=["POST"])]
