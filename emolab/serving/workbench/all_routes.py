"""All routes of the app, put together from the files beside this one."""

from __future__ import annotations

from contextlib import ExitStack

from starlette.routing import BaseRoute

from emolab.serving.workbench import data, model, monitor, shell, suggest, team, tryout, vote
from emolab.serving.workbench.session import Workbench


def routes(bench: Workbench, stack: ExitStack) -> list[BaseRoute]:
    """The routes of every page; ``stack`` ends what they started."""
    voting = vote.open_voting(bench)
    stack.callback(voting.close)
    return [
        *shell.routes(bench),
        *vote.routes(bench, voting),
        *data.routes(bench),
        *model.routes(bench),
        *monitor.routes(bench),
        *team.routes(bench),
        *suggest.routes(bench, stack),
        *tryout.routes(bench, stack),
    ]
