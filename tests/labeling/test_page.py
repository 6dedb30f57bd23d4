"""Each way to answer in Label Studio's real page becomes exactly the vote that was pressed: the queue and its keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support import page_rooms
from tests.support.page_rooms import KINDS, Room
from tests.support.servers import LabelStudioServer
from tests.support.studio_page import Annotator
from tests.support.studio_screen import SIZE, browser  # noqa: F401 (fixture)

pytestmark = [pytest.mark.labelstudio, pytest.mark.browser, pytest.mark.slow]

Play = Callable[[Annotator, Room], None]


@pytest.fixture(scope="module")
def ann(browser: Any) -> Iterator[Any]:  # noqa: F811
    """A browser session of one person, in which every room is opened."""
    context = browser.new_context(viewport=SIZE)
    yield context
    context.close()


@pytest.fixture(scope="module", params=["hidden", "shown", "shown, team"])
def room(request: Any, tmp_path_factory: pytest.TempPathFactory, label_studio: LabelStudioServer) -> Iterator[Room]:
    shown, team = request.param.startswith("shown"), request.param.endswith("team")
    folder = tmp_path_factory.mktemp("room") / "faces"
    with label_studio.client() as studio:
        yield page_rooms.make(folder, studio, shown=shown, team=team, n=60)


@pytest.fixture(scope="module")
def person(room: Room, ann: Any) -> Iterator[Annotator]:
    """The person in the queue of the room; signed up by the invitation of the first room."""
    made = room.person(ann)
    made.enter(room.invitation())
    made.open_queue()
    yield made
    made.page.close()


def keys(a: Annotator, room: Room) -> None:
    a.choose_by_key(room.right(a))
    a.submit()


def mouse(a: Annotator, room: Room) -> None:
    a.choose_by_mouse(room.right(a))
    a.submit(by="button")


def change_of_mind(a: Annotator, room: Room) -> None:
    right = room.right(a)
    a.choose_by_key(room.wrong(a))
    a.choose_by_mouse(right)
    a.submit()


def undo_and_redo(a: Annotator, room: Room) -> None:
    before, right, wrong = a.said().label, room.right(a), room.wrong(a)
    a.choose_by_mouse(wrong)
    a.undo(before)
    a.redo(wrong, by="keys")
    a.choose_by_key("unknown")
    a.undo(wrong, by="keys")
    a.choose_by_key(right)
    a.submit(by="button")


def undone_and_submitted(a: Annotator, room: Room) -> None:
    a.choose_by_key("no_face")
    a.choose_by_key(room.right(a))
    a.undo("no_face")
    a.submit()


def impatient(a: Annotator, room: Room) -> None:
    a.choose_by_key(room.right(a))
    a.submit(times=3)


def nothing_chosen(a: Annotator, room: Room) -> None:
    right = room.right(a)
    if a.said().label is not None:
        a.unchoose_by_key()
    assert "Choose one answer, or skip." in a.refused()
    a.choose_by_mouse(right)
    a.submit()


def skip(a: Annotator, room: Room) -> None:
    a.skip()


def skip_what_was_chosen(a: Annotator, room: Room) -> None:
    a.choose_by_key(room.wrong(a))
    a.skip(by="keys")


def skip_taken_back(a: Annotator, room: Room) -> None:
    a.choose_by_mouse(room.wrong(a))
    a.skip()
    a.previous()
    a.cancel_skip()
    a.choose_by_key(room.right(a))
    a.submit()


def update(a: Annotator, room: Room) -> None:
    first = a.sample
    a.choose_by_mouse(room.wrong(a))
    a.submit()
    a.previous()
    assert a.sample == first
    a.choose_by_key(room.right(a))
    a.update()
    a.next()


def update_twice(a: Annotator, room: Room) -> None:
    a.choose_by_mouse("unknown")
    a.submit()
    a.previous()
    a.choose_by_mouse(room.wrong(a))
    a.update(by="button")
    a.choose_by_mouse(room.right(a))
    a.update(by="button")
    a.next()


def look_back(a: Annotator, room: Room) -> None:
    """Change an earlier answer, but go on without saving the change."""
    a.choose_by_key(room.right(a))
    a.submit()
    a.previous()
    a.choose_by_key(room.wrong(a))
    a.next()


def postpone(a: Annotator, room: Room) -> None:
    first = a.sample
    a.next()
    assert a.sample != first
    a.choose_by_key(room.right(a))
    a.submit()
    a.previous()
    while a.sample != first:
        a.previous()
    a.choose_by_key(room.right(a))
    a.submit()


def reload(a: Annotator, room: Room) -> None:
    a.choose_by_key(room.wrong(a))
    a.reload()
    a.choose_by_key(room.right(a))
    a.submit()


def draft(a: Annotator, room: Room) -> None:
    a.choose_by_key("unknown")
    a.wait_for_draft()
    a.open_project()
    a.open_queue()
    assert a.marked() == ["unknown"]
    a.choose_by_key(room.right(a))
    a.submit()


def team_questions(a: Annotator, room: Room) -> None:
    """Everything that the form of a team may hold; what is typed into a text is no key."""
    right = room.right(a)
    a.choose_by_key(right)
    if room.team:
        a.write("note", "1 of 3, perhaps 2")
        assert a.marked() == [right]
        a.tick("mixed_with", "sadness")
        a.guess_second(room.wrong(a))
        a.stars(2)
    a.submit()


PLAYS: tuple[Play, ...] = (
    keys, mouse, change_of_mind, undo_and_redo, undone_and_submitted, impatient, nothing_chosen, skip,
    skip_what_was_chosen, skip_taken_back, update, update_twice, look_back, postpone, reload, draft, team_questions,
)  # fmt: skip


@pytest.mark.parametrize("play", PLAYS, ids=lambda play: play.__name__)
def test_what_was_pressed_is_what_counts(room: Room, person: Annotator, play: Play) -> None:
    if person.lost:  # by an earlier test that failed on its way
        person.open_project()
        person.open_queue()
    person.lost, person.habit, since = True, None, len(room.journal)
    for _ in KINDS if room.shown and not room.team else [""]:
        assert person.sample is not None, "the queue is empty"
        if room.team and play is not team_questions:
            person.tick("quality", "sharp")
            person.habit = lambda: person.tick("mixed_with", "very angry")
        play(person, room)
    person.lost = False
    room.check(since)
