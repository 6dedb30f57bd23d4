"""The page of suggestions: what would be asked next and why, what that costs, and one click that sends it.

Choosing and sending are jobs: processes of their own that all people of the page see, and that an owner may stop.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from emolab.errors import EmolabError
from emolab.loop.look.choose import take_back
from emolab.loop.look.suggest_view import FACES, WaitingNow, proposed_faces, suggest_view, waiting_now
from emolab.loop.operate.job_runner import JobRequest, JobRunner, JobView
from emolab.plugins import STRATEGIES
from emolab.serving.app.errors import JSONAnswer, RequestRefused
from emolab.serving.people import Person
from emolab.serving.workbench.asking import number, step, text
from emolab.serving.workbench.session import APP, Workbench, allowed, json_body

#: The jobs by what people call them: module and step, and what is kept of its result; the samples stand in the catalog.
JOBS: Mapping[str, tuple[str, str, Sequence[str]]] = {
    "propose": (
        "emolab.loop.label.suggest", "suggest", ("round", "strategy", "n", "note", "candidates", "left_out")
    ),
    "push": (
        "emolab.loop.label.push", "push_waiting",
        ("project", "url", "created", "adopted", "resumed", "reopened", "waiting", "missing", "note"),
    ),
    "train": (
        "emolab.loop.model.train", "train", ("model", "alias", "reason", "backbone", "n_train", "champion")
    ),
}  # fmt: skip

#: Seconds, and times what counting took, for which what waits is told without counting again.
FRESH, TIMES = 0.5, 5.0


class _Starting:
    """Starts jobs, one after the other, for whoever has seen which rounds wait."""

    def __init__(self, bench: Workbench, jobs: JobRunner) -> None:
        self._bench, self._jobs, self._turn = bench, jobs, asyncio.Lock()

    async def begin(
        self, person: Person, kind: str, body: Mapping[str, Any], words: Mapping[str, Any] | None = None
    ) -> Response:
        """Start one of :data:`JOBS` with ``words``; the same wish (``id`` of ``body``) sent again is the same job.

        ``stamp`` of ``body`` says which rounds the page has seen. Raises :class:`RequestRefused`.
        """
        module, function, keep = JOBS[kind]
        asked = JobRequest(
            id=_name(body, "id"), kind=kind, by=person.name, module=module, step=function, words=words or {}, keep=keep
        )
        stamp = _name(body, "stamp")
        async with self._turn:
            before = self._jobs.view()
            if before is not None and before.id == asked.id:
                return JSONAnswer({"job": _told(before)})
            if before is not None and not before.over:
                raise RequestRefused(409, "busy", f"{before.by} has started something already.", "Wait until it ends.")
            if stamp != (await step(waiting_now, self._bench.workspace)).stamp:
                raise RequestRefused(409, "changed", "Other faces wait now than those on your page.", "Look again.")
            try:
                found = self._jobs.start(asked)
            except EmolabError as error:
                raise RequestRefused(409, "busy", error.message, error.hint) from error
            self._bench.note(person, asked.kind, {"job": asked.id, **asked.words})
            return JSONAnswer({"job": _told(found)})


class _Waits:
    """What waits, counted for all pages together: the more work that is, the longer it is told again."""

    def __init__(self) -> None:
        self._turn, self._until = asyncio.Lock(), 0.0
        self._found: WaitingNow | None = None

    async def now(self, bench: Workbench) -> WaitingNow:
        """As of now, or of a moment ago."""
        async with self._turn:
            began = time.monotonic()
            if self._found is None or began >= self._until:
                self._found = await step(waiting_now, bench.workspace)
                self._until = time.monotonic() + max(FRESH, TIMES * (time.monotonic() - began))
            return self._found


def routes(bench: Workbench, stack: ExitStack) -> list[BaseRoute]:
    """The routes of the page; ``stack`` ends the job that runs."""
    jobs = JobRunner(bench.workspace, ended=functools.partial(_note_end, bench))
    stack.callback(jobs.close)
    starting = _Starting(bench, jobs)

    def at(path: str, handler: Callable[..., Any], method: str = "GET", **more: Any) -> Route:
        return Route(f"{APP}/api/{path}", functools.partial(handler, bench=bench, **more), methods=[method])

    return [
        at("suggest", view, jobs=jobs),
        at("suggest/faces", faces),
        at("suggest/now", now, jobs=jobs, waits=_Waits()),
        at("suggest/propose", propose, "POST", starting=starting),
        at("suggest/push", push, "POST", starting=starting),
        at("suggest/train", train, "POST", starting=starting),
        at("suggest/stop", stop, "POST", jobs=jobs),
        at("suggest/drop", drop, "POST"),
    ]


@allowed("reader")
async def view(request: Request, bench: Workbench, person: Person, *, jobs: JobRunner) -> Response:
    """The rounds that wait, what the next can be chosen by, and the job that runs or ran last."""
    del request
    found = (await step(suggest_view, bench.workspace)).to_dict()
    return JSONAnswer({**found, "job": _told(jobs.view()), "may_change": person.may("owner")})


@allowed("reader")
async def faces(request: Request, bench: Workbench, person: Person) -> Response:
    """Samples that wait, and why each was chosen."""
    del person
    n = number(request, "n", int) or FACES
    return JSONAnswer((await step(proposed_faces, bench.workspace, after=text(request, "after"), n=n)).to_dict())


@allowed("reader")
async def now(request: Request, bench: Workbench, person: Person, *, jobs: JobRunner, waits: _Waits) -> Response:
    """The job, and whether anything else waits than before: what a page asks again and again."""
    del request, person
    return JSONAnswer({**(await waits.now(bench)).to_dict(), "job": _told(jobs.view())})


@allowed("owner")
async def propose(request: Request, bench: Workbench, person: Person, *, starting: _Starting) -> Response:
    """Choose the next round, which waits then to be looked at and sent."""
    del bench
    body = await json_body(request)
    words = {name: body[name] for name in ("n", "minutes", "strategy") if body.get(name) is not None}
    for name in ("n", "minutes"):
        if name in words and (isinstance(words[name], bool) or not isinstance(words[name], int)):
            raise RequestRefused(422, "wrong_form", f'"{name}" is no whole number.')
    if "strategy" in words and words["strategy"] not in STRATEGIES.names():
        raise RequestRefused(422, "wrong_form", "There is no such strategy.")
    return await starting.begin(person, "propose", body, words)


@allowed("owner")
async def push(request: Request, bench: Workbench, person: Person, *, starting: _Starting) -> Response:
    """Send what waits to the team."""
    del bench
    return await starting.begin(person, "push", await json_body(request))


@allowed("owner")
async def train(request: Request, bench: Workbench, person: Person, *, starting: _Starting) -> Response:
    """Train a model on the labels as they are now, as ``emolab train`` does."""
    del bench
    return await starting.begin(person, "train", await json_body(request))


@allowed("owner")
async def stop(request: Request, bench: Workbench, person: Person, *, jobs: JobRunner) -> Response:
    """Stop the job that runs; nothing where it is over."""
    job = _name(await json_body(request), "id")
    before = jobs.view()
    found = jobs.stop(job)
    if before is not None and before.id == job and before.state == "running":
        bench.note(person, f"stop {before.kind}", {"job": job})
    return JSONAnswer({"job": _told(found)})


@allowed("owner")
async def drop(request: Request, bench: Workbench, person: Person) -> Response:
    """Take a round back that waits."""
    wanted = (await json_body(request)).get("round")
    if isinstance(wanted, bool) or not isinstance(wanted, int) or not 0 < wanted < 2**31:
        raise RequestRefused(422, "wrong_form", '"round" is no number of a round.')
    found = await step(take_back, bench.workspace, wanted)
    bench.note(person, "drop", {"round": wanted, "dropped": found.dropped})
    return JSONAnswer(found.to_dict())


def _note_end(bench: Workbench, job: JobView) -> None:
    """Write down how a job of somebody ended: which round it made, or how many faces it sent."""
    found = {name: value for name, value in (job.found or {}).items() if name in _NOTED}
    bench.audit.write({"person": job.by, "did": f"{job.kind} {job.state}", "job": job.id, **found})


_NOTED = ("model", "alias", "round", "strategy", "n", "project", "created", "adopted", "resumed", "reopened")


def _told(job: JobView | None) -> dict[str, Any] | None:
    return None if job is None else job.to_dict()


def _name(body: Mapping[str, Any], key: str) -> str:
    found = body.get(key)
    if not isinstance(found, str) or not 0 < len(found) <= 100:
        raise RequestRefused(422, "wrong_form", f'There is no text "{key}" in the JSON.')
    return found
