"""Counters for Prometheus, in a registry of their own, by model version."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from emolab.serving.answers import ImageAnswer
from emolab.serving.service import Service

_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """What is counted. Names begin with ``emolab_``."""

    def __init__(self, service: Service) -> None:
        self.registry = CollectorRegistry()
        made: dict[str, Any] = {"registry": self.registry}
        self._requests = Counter("emolab_requests", "Requests answered", ("route", "status"), **made)
        self._seconds = Histogram("emolab_request_seconds", "Time to answer", ("route",), buckets=_SECONDS, **made)
        self._images = Counter("emolab_images", "Pictures, by what came of them", ("model", "outcome"), **made)
        self._faces = Counter("emolab_faces", "Faces, by the class they were given", ("model", "label"), **made)
        self._unsure = Counter("emolab_unsure_faces", "Faces that the model was unsure about", ("model",), **made)
        self._batches = Histogram("emolab_batch_size", "Crops of a batch", ("model",), buckets=_SIZES, **made)
        self._shadow = Counter("emolab_shadow_faces", "Faces that a candidate saw as well", ("model", "agreed"), **made)
        self._unnoted = Counter("emolab_audit_lines_lost", "Requests that the audit log lacks", **made)
        waiting = Gauge("emolab_images_under_way", "Pictures that are being answered", **made)
        waiting.set_function(lambda: service.capacity.held_images)
        self._serving = Gauge("emolab_model_serving", "1 for the model that answers now", ("model",), **made)
        # finding one by its labels costs more than counting
        self._requests_of, self._seconds_of = cache(self._requests.labels), cache(self._seconds.labels)
        self._images_of, self._faces_of = cache(self._images.labels), cache(self._faces.labels)
        self._service = service
        service.host.on_batch = self.batch
        if service.shadow is not None:
            service.shadow.on_compared = self.shadow

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        self._requests_of(route, str(status)).inc()
        self._seconds_of(route).observe(seconds)

    def answers(self, model: str, answers: Sequence[ImageAnswer]) -> None:
        """Count what ``model`` said."""
        for answer in answers:
            outcome = "error" if answer.error is not None else "no_face" if answer.no_face else "answered"
            self._images_of(model, outcome).inc()
            for face in answer.faces:
                self._faces_of(model, face.label).inc()
                if face.unsure:
                    self._unsure.labels(model).inc()

    def unnoted(self) -> None:
        """Count one request that could not be noted in the audit log."""
        self._unnoted.inc()

    def batch(self, model: str, size: int) -> None:
        """Count one batch."""
        self._batches.labels(model).observe(size)

    def shadow(self, model: str, agreed: int, not_agreed: int) -> None:
        """Count what a candidate said."""
        self._shadow.labels(model, "yes").inc(agreed)
        self._shadow.labels(model, "no").inc(not_agreed)

    def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        self._serving.clear()
        self._serving.labels(self._service.host.version.id).set(1)
        return generate_latest(self.registry)


async def metrics(request: Request) -> Response:
    """The counters."""
    return Response(request.app.state.metrics.text(), media_type=CONTENT_TYPE_LATEST)


ROUTES = [Route("/metrics", metrics, methods=["GET"])]
