"""What administrators switch and copy in Label Studio's real page takes no votes away and adds none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import page_rooms
from tests.support.page_rooms import Room
from tests.support.servers import LabelStudioServer
from tests.support.studio_admin import copy_all_predictions, prelabel
from tests.support.studio_page import Annotator
from tests.support.studio_screen import SIZE, browser  # noqa: F401 (fixture)
from tests.support.syncing import add_samples, ledger

pytestmark = [pytest.mark.labelstudio, pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def ann(room: Room, browser: Any) -> Iterator[Annotator]:  # noqa: F811
    """Somebody new, signed up for the room by its invitation."""
    session = browser.new_context(viewport=SIZE)
    made = room.person(session)
    made.enter(room.invitation())
    yield made
    session.close()


@pytest.fixture(params=["hidden", "shown"])
def room(request: Any, tmp_path: Path, label_studio: LabelStudioServer) -> Iterator[Room]:
    with label_studio.client() as studio:
        yield page_rooms.make(tmp_path / "room", studio, shown=request.param == "shown", n=5)


def test_an_administrator_who_shows_or_hides_predictions_takes_no_votes_away(room: Room, ann: Annotator) -> None:
    """A room without guesses has predictions all the same: the order of its queue."""
    prelabel(ann, not room.shown)
    ann.guess_of = lambda sample: None
    ann.open_project()
    ann.open_queue()
    ann.choose_by_mouse(room.right(ann))
    ann.submit()
    room.check()
    add_samples(room.workspace, 1, first=50)
    room.push(n=1)
    room.pull(reconcile=True)
    room.check()


@pytest.mark.parametrize("room", ["shown"], indirect=True)
def test_annotations_made_of_predictions_in_bulk_never_count(room: Room, ann: Annotator) -> None:
    ann.open_queue()
    for _ in range(2):
        ann.choose_by_key(room.right(ann))
        ann.submit()
    ann.open_project()
    copy_all_predictions(ann)  # of the three tasks that nobody has answered
    report = room.pull()
    assert report.new == 5 and sum(report.rejected.values()) == 3
    counted = {vote.sample_id: vote.label for vote in ledger(room.workspace)}
    assert counted == {press.sample: press.label for press in room.journal}
    add_samples(room.workspace, 2, first=50)
    room.push(n=2)
    for everything in (False, True):
        room.pull(reconcile=everything)
        assert {vote.sample_id: vote.label for vote in ledger(room.workspace)} == counted
