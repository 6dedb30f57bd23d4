"""The page of the team: progress, agreement, who differs with whom, and the faces to talk about."""

from __future__ import annotations

import asyncio
import functools
import time
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from emolab.loop.look.apart import apart
from emolab.loop.look.team_view import state_of_votes
from emolab.serving.app.errors import JSONAnswer
from emolab.serving.people import Person
from emolab.serving.workbench.asking import step, yes_or_no
from emolab.serving.workbench.session import APP, Workbench, allowed

#: Seconds for which a view of the same votes is shown again; what was sent to the team meanwhile is not in it.
LASTS = 120.0
#: A view that takes longer to count (seconds) than this is shown on while it is counted again, and ..
QUICK = 5.0
#: .. for so many times as long as it took, whatever came in meanwhile: counting is not to keep a processor busy.
RESTS = 10.0


def routes(bench: Workbench) -> list[BaseRoute]:
    """The routes of the page."""
    counted = CountedTeam(bench)
    return [Route(f"{APP}/api/team", functools.partial(team, bench=bench, counted=counted), methods=["GET"])]


@allowed("reader")
async def team(request: Request, bench: Workbench, person: Person, *, counted: CountedTeam) -> Response:
    """How the team labels, with ``counting``: whether it is being counted again, so that asking again is worth it."""
    del bench, person
    found, counting = await counted.get(fresh=yes_or_no(request, "fresh") or False)
    return JSONAnswer({**found, "counting": counting})


@dataclass(frozen=True)
class _Kept:
    """A view, the ``state`` of the votes it was made of, when it was ``made`` and how many seconds it ``took``."""

    found: dict[str, Any]
    state: str
    made: float
    took: float


class CountedTeam:
    """The newest view of the team. It is counted in a process of its own: a million votes need more memory than this
    one has. One count runs at a time, however many people ask."""

    def __init__(self, bench: Workbench) -> None:
        self._workspace = bench.workspace
        self._kept: _Kept | None = None
        self._count: asyncio.Task[_Kept] | None = None

    async def get(self, *, fresh: bool = False) -> tuple[dict[str, Any], bool]:
        """The view, and whether a newer one is being counted. ``fresh``: count again, whatever is there.

        Raises what the count raised.
        """
        if self._count is not None and self._count.done():
            self._take()
        kept = self._kept
        if self._count is None:
            if kept is not None and not fresh and await self._holds(kept):
                return kept.found, False
            self._count = self._count or asyncio.create_task(self._counted())
        if kept is not None and kept.took > QUICK:
            return kept.found, True
        count = self._count
        await asyncio.wait({count})
        if count is self._count:
            self._take()
        return count.result().found, False

    def _take(self) -> None:
        """The count is over: keep its view, or raise what went wrong."""
        count, self._count = self._count, None
        if count is not None:
            self._kept = count.result()

    async def _holds(self, kept: _Kept) -> bool:
        age = time.monotonic() - kept.made
        if kept.took > QUICK and age < RESTS * kept.took:
            return True
        return age < LASTS and kept.state == await step(state_of_votes, self._workspace)

    async def _counted(self) -> _Kept:
        began = time.monotonic()
        state = await step(state_of_votes, self._workspace)
        found = await step(apart, self._workspace, "emolab.loop.look.team_view", "team_view")
        ended = time.monotonic()
        return _Kept(found, state, ended, ended - began)
