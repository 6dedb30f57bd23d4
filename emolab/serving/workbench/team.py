"""The page of the team: progress, agreement, who differs with whom, and the faces to talk about."""

from __future__ import annotations

import asyncio
import functools
import time
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


def routes(bench: Workbench) -> list[BaseRoute]:
    """The routes of the page."""
    turn = asyncio.Lock()
    kept: dict[str, Any] = {}

    @allowed("reader")
    async def team(request: Request, bench: Workbench, person: Person) -> Response:
        """How the team labels. Counted in a process of its own: a million votes need more memory than this one has."""
        del person
        fresh = yes_or_no(request, "fresh")
        async with turn:
            state = await step(state_of_votes, bench.workspace)
            if fresh or kept.get("state") != state or time.monotonic() - kept["made"] > LASTS:
                found = await step(apart, bench.workspace, "emolab.loop.look.team_view", "team_view")
                kept.update(state=state, found=found, made=time.monotonic())
            return JSONAnswer(kept["found"])

    return [Route(f"{APP}/api/team", functools.partial(team, bench=bench), methods=["GET"])]
