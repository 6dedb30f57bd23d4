"""Several tabs, several people, a server that goes away, a team's own questions: through Label Studio's real page."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from emolab.labeling.label_studio.client import connect
from emolab.labeling.server.embedded import EmbeddedServer
from tests.support import page_rooms
from tests.support.page_rooms import Room
from tests.support.servers import LabelStudioServer
from tests.support.studio_page import Annotator
from tests.support.studio_screen import SIZE, browser  # noqa: F401 (fixture)
from tests.support.syncing import add_samples, ledger

pytestmark = [pytest.mark.labelstudio, pytest.mark.browser, pytest.mark.slow]

Enter = Callable[[Room], Annotator]


@pytest.fixture
def enter(browser: Any) -> Iterator[Enter]:  # noqa: F811
    """Somebody new, signed up for a room by its invitation, in a browser session of their own."""
    sessions = []

    def somebody(room: Room) -> Annotator:
        sessions.append(browser.new_context(viewport=SIZE))
        made = room.person(sessions[-1])
        made.enter(room.invitation())
        return made

    yield somebody
    for session in sessions:
        session.close()


@pytest.fixture(params=["hidden", "shown, team"])
def room(request: Any, tmp_path: Path, label_studio: LabelStudioServer) -> Iterator[Room]:
    shown = request.param != "hidden"
    with label_studio.client() as studio:
        yield page_rooms.make(tmp_path / "room", studio, shown=shown, team=shown, n=3)


def test_two_tabs_of_one_person_give_one_vote_and_the_page_refuses_the_other(room: Room, enter: Enter) -> None:
    one = enter(room)
    two = room.person(one.page.context)
    two.open_project()
    one.open_queue()
    two.open_queue()
    assert one.sample == two.sample
    one.front().choose_by_key(room.right(one))
    two.front().choose_by_mouse("unknown")
    one.front().submit()
    two.front().press("Control+Enter")
    two.page.get_by_text("Annotation is not saved").first.wait_for()
    room.check()
    two.reload()
    assert one.sample == two.sample
    two.choose_by_key(room.right(two))
    two.submit()
    room.check()


def test_two_people_at_once_give_a_vote_each_though_one_was_asked_for(
    tmp_path: Path, label_studio: LabelStudioServer, enter: Enter
) -> None:
    with label_studio.client() as studio:
        room = page_rooms.make(tmp_path / "room", studio, n=2, overlap=1)
        ann, bob = enter(room), enter(room)
        ann.open_queue()
        bob.open_project()
        first = next(iter(room.truth))
        bob.quick_view(first, 0)
        assert ann.sample == bob.sample == first
        ann.front().choose_by_key(room.right(ann))
        bob.front().choose_by_key(room.wrong(bob))
        bob.submit()
        ann.front().submit()
        room.check()
        assert len({vote.annotator for vote in ledger(room.workspace)}) == 2


def test_an_answer_changed_by_somebody_else_stays_the_vote_of_its_annotator(room: Room, enter: Enter) -> None:
    ann, bob = enter(room), enter(room)
    first = next(iter(room.truth))
    for person in (ann, bob):
        person.open_project()
    ann.front().quick_view(first, 0)
    ann.choose_by_key("unknown")
    answer = ann.submit()
    room.check()
    bob.front().quick_view(first, 0)
    bob.look_at(answer)
    bob.choose_by_key(room.right(bob))
    bob.update()
    report = room.pull()
    assert (report.edited, report.by_others) == (1, 1)
    room.check()


def test_a_server_that_restarts_in_mid_answer_gets_it_once(
    tmp_path: Path, embedded: EmbeddedServer, enter: Enter
) -> None:
    up = embedded.start().server
    with connect(up.url, embedded.token()) as studio:
        room = page_rooms.make(tmp_path / "room", studio, n=3)
        ann = enter(room)
        ann.open_queue()
        ann.choose_by_key(room.right(ann))
        embedded.stop(grace=2.0)
        assert "Failed to fetch" in ann.refused()
        embedded.start(port=up.port)
        ann.submit()
        ann.choose_by_key(room.right(ann))
        ann.submit()
        room.check()


@pytest.mark.parametrize("view", ["queue", "quick view"])
def test_an_answer_whose_reply_was_lost_counts_once(room: Room, enter: Enter, view: str) -> None:
    ann = enter(room)
    first = next(iter(room.truth))
    if view == "queue":
        ann.open_queue()
    else:
        ann.open_project()
        ann.front().quick_view(first, 0)
    ann.choose_by_key(room.right(ann))
    ann.lose_the_reply()
    assert "Failed to fetch" in ann.refused()
    ann.press("Control+Enter")
    ann.page.get_by_text(re.compile("not saved|saved successfully")).first.wait_for()
    room.pull()
    assert [vote.label for vote in ledger(room.workspace)] == [room.truth[first]]


def test_an_invitation_opened_again_leads_on_and_makes_no_second_person(room: Room, enter: Enter) -> None:
    ann = enter(room)
    ann.open_queue()
    ann.choose_by_key(room.right(ann))
    ann.submit()
    ann.enter(room.invitation())
    ann.open_queue()
    ann.choose_by_key(room.right(ann))
    ann.submit()
    room.check()
    assert len({press.person for press in room.journal}) == 1


def test_questions_of_the_team_stay_over_a_push_and_stand_below_the_two_columns(
    tmp_path: Path, label_studio: LabelStudioServer, enter: Enter
) -> None:
    with label_studio.client() as studio:
        room = page_rooms.make(tmp_path / "room", studio, team=True, n=2)
        ann = enter(room)
        ann.open_queue()
        ann.tick("mixed_with", "very angry")
        ann.choose_by_key(room.right(ann))
        ann.submit()
        room.truth |= dict.fromkeys(add_samples(room.workspace, 1, first=50), "neutral")
        room.push(n=1)
        room.check()
        ann.open_project()
        ann.open_queue()
        ann.tick("quality", "blurred")
        ann.write("note", "a note")
        face, note = (ann.page.locator(name).first.bounding_box() for name in (".lsf-image", ".lsf-text-area"))
        assert note["y"] > face["y"] + face["height"] and note["width"] > 1.5 * face["width"]
        ann.choose_by_key(room.right(ann))
        ann.submit()
        room.check()
