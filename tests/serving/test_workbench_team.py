"""The team's figures are counted by one process at a time, kept, and shown on while a slow count runs again."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from emolab.errors import DataError
from emolab.serving.app.errors import RequestRefused
from emolab.serving.workbench import team
from emolab.serving.workbench.session import Workbench
from emolab.workspace import Workspace
from tests.support.voting import vote


@pytest.fixture
def counts(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> tuple[Workbench, list[int], threading.Event]:
    """The app's side of a workspace, the counts that were made, and what lets a count end."""
    made: list[int] = []
    may_end = threading.Event()
    may_end.set()

    def counted(*_: object, **__: object) -> Any:
        made.append(len(made) + 1)
        number = made[-1]
        assert may_end.wait(30)
        if number == 13:
            raise DataError("No luck.")
        return {"count": number}

    monkeypatch.setattr(team, "apart", counted)
    return Workbench.of(workspace), made, may_end


def run(bench: Workbench, story: Callable[[team.CountedTeam], Any]) -> None:
    async def told() -> None:
        await story(team.CountedTeam(bench))

    asyncio.run(told())
    bench.close()


def test_a_quick_count_is_made_again_when_votes_came_and_only_then(
    counts: tuple[Workbench, list[int], threading.Event],
) -> None:
    bench, made, _ = counts

    async def story(counted: team.CountedTeam) -> None:
        assert await asyncio.gather(*(counted.get() for _ in range(5))) == [({"count": 1}, False)] * 5
        assert await counted.get() == ({"count": 1}, False)
        vote(bench.workspace, {"a" * 64: {"ann": "happiness"}})
        assert await counted.get() == ({"count": 2}, False)
        assert await counted.get(fresh=True) == ({"count": 3}, False)
        assert made == [1, 2, 3]

    run(bench, story)


def test_the_last_view_of_a_slow_count_is_shown_while_the_next_is_made(
    counts: tuple[Workbench, list[int], threading.Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, made, may_end = counts
    monkeypatch.setattr(team, "QUICK", -1.0)

    async def story(counted: team.CountedTeam) -> None:
        assert await counted.get() == ({"count": 1}, False)
        vote(bench.workspace, {"a" * 64: {"ann": "happiness"}})
        monkeypatch.setattr(team, "RESTS", 1e9)
        assert await counted.get() == ({"count": 1}, False), "it rests"
        monkeypatch.setattr(team, "RESTS", 0.0)
        may_end.clear()
        for fresh in (False, True, False):
            assert await counted.get(fresh=fresh) == ({"count": 1}, True)
        may_end.set()
        assert counted._count is not None
        await asyncio.wait({counted._count})
        assert await counted.get() == ({"count": 2}, False)
        assert made == [1, 2]

    run(bench, story)


def test_a_count_that_failed_is_said_once_and_made_again(
    counts: tuple[Workbench, list[int], threading.Event],
) -> None:
    bench, made, _ = counts

    async def story(counted: team.CountedTeam) -> None:
        made.extend([0] * 12)
        with pytest.raises(RequestRefused, match="No luck"):
            await counted.get()
        assert await counted.get() == ({"count": 14}, False)

    run(bench, story)
