"""Counters for Prometheus, in a registry of their own, by model version."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from emolab.serving.answers import ImageAnswer
from emolab.serving.service import Service, WatchFigures

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
        self._service, self._one = service, threading.Lock()
        self.registry.register(WatchCollector(service))
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
        """Everything, as Prometheus reads it. Reads the monitor's files where they have changed."""
        with self._one:
            self._serving.clear()
            self._serving.labels(self._service.host.version.id).set(1)
            return generate_latest(self.registry)


class WatchCollector:
    """What the monitor says of the model that answers, asked anew for each reading. What is not known has no line."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def describe(self) -> list[Metric]:
        """Nothing: the registry is not to read files before anybody asks."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The lines."""
        model = self._service.host.version.id
        known = self._service.watched(model)
        for name, words, value in _plain_figures(known):
            found = GaugeMetricFamily(name, words, labels=("model",))
            if value is not None:
                found.add_metric((model,), value)
            yield found
        for name, words, label, values in (
            ("emolab_look_alarms", "Alarms that hold, by kind", "kind", known.alarms),
            ("emolab_look_class_share", "Share of each class in the newest window", "label", known.classes),
            ("emolab_drift_p_min", _P_WORDS, "detector", {name: p for name, (p, _) in known.drift.items()}),
            ("emolab_drift_alarm", _ALARM_WORDS, "detector", {name: alarm for name, (_, alarm) in known.drift.items()}),
        ):
            found = GaugeMetricFamily(name, words, labels=("model", label))
            for key, figure in values.items():
                found.add_metric((model, key), float(figure))
            yield found
        owed = GaugeMetricFamily("emolab_alerts_owed", "Alarms that a channel could not tell yet", labels=("channel",))
        for channel, n in known.owed.items():
            owed.add_metric((channel,), n)
        yield owed
        if self._service.unlogged is not None:
            words = "Answers that the log of what is served lacks"
            yield CounterMetricFamily("emolab_served_log_left_out", words, value=self._service.unlogged())


_P_WORDS = "Smallest p-value of the newest look; not an alarm by itself"
_ALARM_WORDS = "1 where the newest look raised an alarm"


def _plain_figures(known: WatchFigures) -> Iterator[tuple[str, str, float | None]]:
    """Name, words and value of the figures that have no label but the model's; ``None``: not known."""
    age = None if known.looked is None else max(0.0, time.time() - known.looked)
    yield "emolab_look_age_seconds", "Time since emolab monitor last looked", age
    yield "emolab_look_answers", "Answers in the newest window", None if age is None else known.answers
    yield "emolab_look_level", "Chance of a false alarm that the newest look may spend", known.level
    yield "emolab_looks_unreadable", "1 where the file of the looks is damaged", float(known.unreadable)
    for name, what, figures in (
        ("estimated", "Accuracy estimated without labels", known.estimate),
        ("audit", "Accuracy by the newest audited sample", known.audit),
    ):
        middle, low, high = figures or (None, None, None)
        yield f"emolab_{name}_accuracy", what, middle
        yield f"emolab_{name}_accuracy_low", f"{what}, lower end of 95 %", low
        yield f"emolab_{name}_accuracy_high", f"{what}, upper end of 95 %", high


async def metrics(request: Request) -> Response:
    """The counters. Files may have to be read, so it is done where no answer waits for it."""
    text = await run_in_threadpool(request.app.state.metrics.text)
    return Response(text, media_type=CONTENT_TYPE_LATEST)


ROUTES = [Route("/metrics", metrics, methods=["GET"])]
