"""Answers given, changed, copied and deleted in the Data Manager's quick view of Label Studio's real page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support import page_rooms
from tests.support.page_rooms import Room
from tests.support.servers import LabelStudioServer
from tests.support.studio_page import Annotator
from tests.support.studio_screen import SIZE, browser  # noqa: F401 (fixture)
from tests.support.syncing import ledger

pytestmark = [pytest.mark.labelstudio, pytest.mark.browser, pytest.mark.slow]

Play = Callable[[Annotator, Room], None]


@pytest.fixture(scope="module", params=["hidden", "shown, team"])
def room(request: Any, tmp_path_factory: pytest.TempPathFactory, label_studio: LabelStudioServer) -> Iterator[Room]:
    shown = request.param != "hidden"
    with label_studio.client() as studio:
        yield page_rooms.make(tmp_path_factory.mktemp("views") / "faces", studio, shown=shown, team=shown)


@pytest.fixture(scope="module")
def person(room: Room, browser: Any) -> Iterator[Annotator]:  # noqa: F811
    """Somebody at the table of the Data Manager."""
    context = browser.new_context(viewport=SIZE)
    made = room.person(context)
    made.enter(room.invitation())
    made.open_project()
    yield made
    context.close()


def answer(a: Annotator, room: Room) -> None:
    a.choose_by_mouse(room.right(a))
    a.submit(by="button")


def update(a: Annotator, room: Room) -> None:
    a.choose_by_mouse("unknown")
    a.submit()
    a.choose_by_key(room.right(a))
    a.update()


def second_answer(a: Annotator, room: Room) -> None:
    a.choose_by_mouse("unknown")
    a.submit()
    a.new_answer()
    a.choose_by_key(room.right(a))
    a.submit()


def duplicate(a: Annotator, room: Room) -> None:
    a.choose_by_mouse(room.right(a))
    a.submit()
    a.duplicate()
    a.submit()


def delete(a: Annotator, room: Room) -> None:
    a.choose_by_mouse(room.right(a))
    a.submit()
    room.check()
    a.delete()


def delete_and_answer_again(a: Annotator, room: Room) -> None:
    a.choose_by_mouse("unknown")
    a.submit()
    room.check()
    a.delete()
    a.choose_by_key(room.right(a))
    a.submit()


PLAYS: tuple[Play, ...] = (
    answer, update, second_answer, duplicate, delete, delete_and_answer_again,
)  # fmt: skip


@pytest.mark.parametrize("play", PLAYS, ids=lambda play: play.__name__)
def test_what_was_pressed_in_the_quick_view_is_what_counts(room: Room, person: Annotator, play: Play) -> None:
    row = PLAYS.index(play)
    person.quick_view(list(room.truth)[row], row)
    if room.team:
        person.habit = lambda: person.tick("mixed_with", "very angry")
    play(person, room)
    room.check()


def test_nothing_but_what_was_pressed_is_in_the_ledger(room: Room, person: Annotator) -> None:
    room.pull(reconcile=True)
    room.check()
    assert {vote.sample_id for vote in ledger(room.workspace, rejected=True)} <= {p.sample for p in room.journal}
