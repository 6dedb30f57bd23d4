"""People vote in the app, beside Label Studio, with real servers and a real browser: the ledger says what they pressed.

Lines that break, tabs that meet, servers that are killed: each answer counts exactly once.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import emolab
from emolab.labeling.label_studio.client import Studio, connect
from emolab.labeling.server.embedded import EmbeddedServer
from emolab.labeling.sync.task_payload import stays_blind
from emolab.loop.label.voting.desk import GivenAnswer, VotingDesk
from emolab.loop.operate.serve_people import people_file
from tests.support import page_rooms
from tests.support.app_page import Voter, app_server, arrive, kill, screenshot, votes_of, wait_until, waiting
from tests.support.page_rooms import Room
from tests.support.proxy import Proxy
from tests.support.serve_process import ServeProcess
from tests.support.servers import CLASSES, LabelStudioServer, free_port
from tests.support.studio_screen import SIZE, browser  # noqa: F401 (fixture)
from tests.support.syncing import ledger

pytestmark = [pytest.mark.labelstudio, pytest.mark.browser, pytest.mark.serve, pytest.mark.slow]

KEYS = {name: str(number) for number, name in enumerate(CLASSES, 1)} | {"unknown": "9", "no_face": "0"}
PAYLOAD = "ann <img src=x onerror=window.ran=1>"  # begins as a name may


_SAY_AGAIN = """async sample => {
  const said = {id: crypto.randomUUID(), sample, label: "neutral", seconds: 1, shown: null};
  const headers = {"content-type": "application/json"};
  const answer = await fetch("/app/api/vote/answers", {method: "POST", headers, body: JSON.stringify(said)});
  return (await answer.json()).error?.kind;
}"""


class Place:
    """A room, the app over it, and a browser for its people."""

    def __init__(self, stack: ExitStack, chromium: Any, room: Room, server: ServeProcess) -> None:
        self.stack, self.chromium, self.room, self.server = stack, chromium, room, server
        self.workspace = room.workspace

    def context(self, **more: Any) -> Any:
        made = self.chromium.new_context(**{"viewport": SIZE, **more})
        self.stack.callback(made.close)
        return made

    def voter(self, name: str, context: Any = None, **more: Any) -> Voter:
        return Voter.come(context or self.context(), self.server, self.workspace, name, **more)


@pytest.fixture
def opened(browser: Any, label_studio: LabelStudioServer, tmp_path: Path) -> Iterator[Any]:  # noqa: F811
    with ExitStack() as stack:

        def place(*, url: str | None = None, settings: tuple[str, ...] = (), **options: Any) -> Place:
            studio = stack.enter_context(label_studio.client())
            room = page_rooms.make(tmp_path / "room", studio, **options)
            server = app_server(room.workspace, url or label_studio.url, label_studio.token, settings=settings)
            return Place(stack, browser, room, stack.enter_context(server))

        yield place


def annotations(studio: Studio, room: Room) -> list[tuple[str, int | None, bool]]:
    """(sample, user, skipped) of every annotation on the server."""
    tasks = [task for page in studio.changed_tasks(room.number, None) for task in page]
    return [(t.uid or "", a.completed_by, a.was_cancelled) for t in tasks for a in studio.task(t.id).annotations]


def test_two_people_here_and_one_in_label_studio_vote_side_by_side(opened: Any) -> None:
    place = opened(n=4, overlap=3)
    room: Room = place.room
    ann, bob = place.voter("ann"), place.voter("bob")
    carl = room.person(place.context())
    carl.enter(room.invitation())
    carl.open_queue()
    for i in range(4):
        ann.press(KEYS["sadness"], "sadness") if i else ann.press("ArrowRight", None)
        bob.tap("unknown" if i == 1 else "happiness")
        carl.front().choose_by_key(room.right(carl))
        carl.submit()
    assert "Nothing left for you" in ann.text(".notice:not([hidden])")
    screenshot(ann, "done")
    arrive(place.workspace, ann, bob)
    room.pull()
    (said,) = [said for name, said in votes_of(place.workspace).items() if name not in ("ann", "bob")]
    assert said == room.truth  # what Carl chose
    found = annotations(room.studio, room)
    assert (len(found), len(set(found)), len({user for _, user, _ in found})) == (12, 12, 3)
    assert sum(skipped for *_, skipped in found) == 1
    assert len(ledger(place.workspace, rejected=True)) == 12
    room.pull(reconcile=True)
    assert len(ledger(place.workspace, rejected=True)) == 12
    seconds = [vote.lead_time for vote in ledger(place.workspace)]
    assert all(found is not None and 0.1 < found < 600 for found in seconds)


def test_a_team_of_three_labels_everything_by_the_page_alone_also_through_two_servers(
    opened: Any, label_studio: LabelStudioServer
) -> None:
    place = opened(n=4, overlap=3)
    with app_server(place.workspace, label_studio.url, label_studio.token) as second:
        ann, carl = place.voter("ann"), place.voter("carl")
        bob = Voter.come(place.context(), second, place.workspace, "bob")
        for label in ("happiness", "sadness", "neutral", "no_face"):
            for voter in (ann, bob, carl):
                voter.press(KEYS[label], label)
        arrive(place.workspace, ann, bob, carl)
    found = annotations(place.room.studio, place.room)
    assert (len(found), len(set(found)), len({user for _, user, _ in found})) == (12, 12, 3)
    assert place.room.pull().changed == 0
    rounds = emolab.label_status(place.workspace).rounds
    assert [(each.sent, each.done, each.votes) for each in rounds] == [(4, 4, 12)]


def test_one_in_the_app_one_in_label_studio_and_one_in_both_are_three_people(opened: Any) -> None:
    place = opened(n=4, overlap=3)
    room: Room = place.room
    ann = place.voter("ann")  # the app alone
    bob = room.person(place.context())  # Label Studio's page alone
    bob.enter(room.invitation())
    bob.open_queue()
    link = emolab.add_serve_person(place.workspace, "carl", url=place.server.url)  # both
    carl = room.person(place.context())
    carl.enter(room.invitation(), email=link.account)
    here = Voter.at(place.context(), "carl", link.link)
    faces: dict[str, list[str | None]] = {"ann": [], "bob": [], "carl": []}
    for _ in range(4):
        faces["ann"].append(ann.press(KEYS["sadness"], "sadness"))
        faces["bob"].append(bob.front().sample)
        bob.choose_by_key(room.right(bob))
        bob.submit()
    there = {}
    for number in range(4):  # now here, now there
        if number % 2 == 0:
            here.page.reload()
            here.settle()
            faces["carl"].append(here.press(KEYS["neutral"], "neutral"))
            wait_until(lambda: votes_of(place.workspace).get("carl") == here.said | there)
        else:
            carl.front().open_project()
            carl.open_queue()
            faces["carl"].append(carl.sample)
            there[carl.sample] = room.right(carl)
            carl.choose_by_key(room.right(carl))
            carl.submit()
            room.pull()
            wait_until(lambda: votes_of(place.workspace).get("carl") == here.said | there)
    assert all(sorted(seen) == sorted(room.truth) for seen in faces.values()), "every face once, nobody sees one twice"

    def nothing_left() -> bool:
        """The page, opened again: it learns of an answer in Label Studio a moment after the ledger has it."""
        here.page.reload()
        here.settle()
        return bool(here.page.locator(".notice:not([hidden])").count())

    wait_until(nothing_left, what="an empty queue")
    assert "Nothing left for you" in here.text(".notice:not([hidden])")
    assert here.page.evaluate(_SAY_AGAIN, next(iter(there))) == "answered_already"  # as a tab left open would
    arrive(place.workspace, ann)
    room.pull(reconcile=True)
    found = annotations(room.studio, room)
    assert (len(found), len(set(found)), len({user for _, user, _ in found})) == (12, 12, 3)
    said = votes_of(place.workspace)
    (other,) = set(said) - {"ann", "carl"}
    assert (len(said), said["ann"], said[other], said["carl"]) == (3, ann.said, room.truth, here.said | there)
    rounds = emolab.label_status(place.workspace).rounds
    assert [(each.sent, each.done, each.votes, each.surplus) for each in rounds] == [(4, 4, 12, 0)]
    told = {one.name for one in emolab.label_status(place.workspace).people}
    assert len(told) == 3


def test_an_answer_taken_back_before_and_after_it_was_sent_leaves_only_the_new_one(opened: Any) -> None:
    place = opened(n=3, overlap=2)
    ann = place.voter("ann")
    first = ann.press(KEYS["happiness"], "happiness")
    assert ann.undo() == first
    ann.press(KEYS["sadness"], "sadness")
    arrive(place.workspace, ann)
    ann.page.reload()
    ann.settle()
    assert ann.undo() == first  # also by a page that was opened again
    ann.press(KEYS["neutral"], "neutral")
    ann.press(KEYS["no_face"], "no_face")
    ann.press(KEYS["happiness"], "happiness")
    arrive(place.workspace, ann)
    for _ in range(3):  # so many at once would wait for consent if somebody had deleted them in Label Studio
        ann.undo()
    assert ann.said == {}
    for _ in range(3):
        ann.press(KEYS["unknown"], "unknown")
    arrive(place.workspace, ann)
    assert sorted(sample for sample, *_ in annotations(place.room.studio, place.room)) == sorted(ann.said)


def test_two_tabs_of_one_person_give_one_vote(opened: Any) -> None:
    place = opened(n=2, overlap=2)
    context = place.context()
    one = place.voter("ann", context)
    two = Voter.at(context, "ann", one.link)
    assert one.sample == two.sample
    one.press(KEYS["happiness"], "happiness")
    one.sent()
    two.press(KEYS["sadness"], "sadness")
    two.page.wait_for_function("() => document.querySelector('.said').textContent.includes('counts once')")
    arrive(place.workspace, one)


def test_a_lost_connection_is_shown_and_healed_and_a_lost_reply_counts_once(opened: Any) -> None:
    place = opened(n=4, overlap=2)
    ann = place.voter("ann")
    replies: list[int] = []

    def lose(route: Any) -> None:
        if not replies:
            replies.append(route.fetch().status)  # the server has it, the page never hears of it
        route.abort()

    ann.page.route("**/app/api/vote/answers", lose)
    ann.press(KEYS["happiness"], "happiness")
    ann.press(KEYS["sadness"], "sadness")
    ann.page.wait_for_function("() => document.querySelector('#line').textContent.includes('No connection')")
    screenshot(ann, "offline")
    assert replies == [200]
    ann.page.unroute("**/app/api/vote/answers")
    ann.sent()
    ann.page.wait_for_function("() => document.querySelector('#line').dataset.kind === 'good'")
    assert not any("error:" in line for line in ann.heard)
    arrive(place.workspace, ann)


def test_a_page_closed_with_unsent_answers_sends_them_when_it_is_opened_again(opened: Any) -> None:
    place = opened(n=4, overlap=2)
    ann = place.voter("ann")
    ann.page.route("**/app/api/vote/answers", lambda route: route.abort())
    ann.press(KEYS["happiness"], "happiness")
    ann.press(KEYS["sadness"], "sadness")
    ann.page.unroute("**/app/api/vote/answers")
    ann.page.reload()
    ann.settle()
    arrive(place.workspace, ann)


@pytest.mark.parametrize("action", ["drop_answer", "502_after", "drop_request"])
def test_a_reply_that_label_studio_lost_is_looked_up_and_counts_once(
    opened: Any, label_studio: LabelStudioServer, action: Any
) -> None:
    with Proxy(label_studio.url) as proxy:
        fault = proxy.fault(r"POST /api/tasks/\d+/annotations", action, times=2)
        place = opened(url=proxy.url, n=3, overlap=2)
        ann = place.voter("ann")
        ann.press(KEYS["happiness"], "happiness")
        ann.press("ArrowRight", None)
        ann.press(KEYS["unknown"], "unknown")
        arrive(place.workspace, ann)
        assert fault.hits == 2
        assert len(annotations(place.room.studio, place.room)) == 3


def test_label_studio_killed_and_started_again_gets_each_answer_once(
    browser: Any,  # noqa: F811
    tmp_path: Path,
    embedded: EmbeddedServer,
) -> None:
    up = embedded.start().server
    with ExitStack() as stack:
        studio = stack.enter_context(connect(up.url, embedded.token()))
        room = page_rooms.make(tmp_path / "room", studio, n=5, overlap=2)
        server = stack.enter_context(app_server(room.workspace, up.url, embedded.token()))
        place = Place(stack, browser, room, server)
        ann = place.voter("ann")
        ann.press(KEYS["happiness"], "happiness")
        arrive(place.workspace, ann)
        kill(up.pid)
        for label in ("sadness", "neutral", "unknown"):
            ann.press(KEYS[label], label)
        ann.sent()  # people go on
        assert waiting(place.workspace) == 3
        assert emolab.label_status(place.workspace).to_dict()["app"] == {"waiting": 3, "refused": 0}
        assert emolab.status(place.workspace).to_dict()["app"] == {"waiting": 3, "refused": 0}
        embedded.start(port=up.port)
        arrive(place.workspace, ann)
        assert len(annotations(studio, room)) == 4


def test_the_app_killed_and_started_again_loses_nothing_and_the_page_enters_by_itself(
    browser: Any,  # noqa: F811
    label_studio: LabelStudioServer,
    tmp_path: Path,
) -> None:
    port = free_port()
    with ExitStack() as stack:
        studio = stack.enter_context(label_studio.client())
        room = page_rooms.make(tmp_path / "room", studio, n=5, overlap=2)
        first = app_server(room.workspace, label_studio.url, label_studio.token, port=port)
        with first as server:
            place = Place(stack, browser, room, server)
            ann = place.voter("ann")
            ann.press(KEYS["happiness"], "happiness")
            ann.sent()
            kill(server.process.pid)
            server.process.wait(30)
            ann.press(KEYS["sadness"], "sadness")
            ann.page.wait_for_function("() => document.querySelector('#line').dataset.kind === 'bad'")
        with app_server(room.workspace, label_studio.url, label_studio.token, port=port):
            ann.press(KEYS["neutral"], "neutral")
            arrive(room.workspace, ann)
            assert len(annotations(studio, room)) == 3


def test_a_pull_sends_what_waits_as_its_people_and_the_owner_is_emolabs_own_account(
    label_studio: LabelStudioServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABEL_STUDIO_URL", label_studio.url)
    monkeypatch.setenv("EMOLAB_STUDIO_TOKEN", label_studio.token)
    with label_studio.client() as studio:
        room = page_rooms.make(tmp_path / "room", studio, n=2, overlap=2)
        emolab.add_serve_person(room.workspace, "ann")
        desk = VotingDesk(room.workspace, people_file(room.workspace))
        for person in ("ann", "owner"):
            for sample in room.truth:
                desk.answer(person, GivenAnswer(id=str(uuid.uuid4()), sample=sample, label="sadness", seconds=1.0))
        desk.close()
        report = emolab.pull(room.workspace)
        assert (report.new, report.by_others) == (4, 0)
        assert {user for _, user, _ in annotations(studio, room)} > {studio.whoami().id}
        assert len(votes_of(room.workspace)) == 2
        assert votes_of(room.workspace)["ann"] == dict.fromkeys(room.truth, "sadness")
        assert emolab.pull(room.workspace).new == 0


def test_an_answer_that_was_taken_back_is_given_anew_before_a_pull_has_told_of_it(
    label_studio: LabelStudioServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABEL_STUDIO_URL", label_studio.url)
    monkeypatch.setenv("EMOLAB_STUDIO_TOKEN", label_studio.token)
    with label_studio.client() as studio:
        room = page_rooms.make(tmp_path / "room", studio, n=1, overlap=2)
        emolab.add_serve_person(room.workspace, "ann")
        desk = VotingDesk(room.workspace, people_file(room.workspace))
        (sample,), first = room.truth, str(uuid.uuid4())
        desk.answer("ann", GivenAnswer(id=first, sample=sample, label="happiness", seconds=1.0))
        emolab.pull(room.workspace)
        desk.refresh()
        assert votes_of(room.workspace) == {"ann": {sample: "happiness"}}
        desk.undo("ann", str(uuid.uuid4()), first)
        assert desk.answer("ann", GivenAnswer(id=str(uuid.uuid4()), sample=sample, label="sadness", seconds=1.0))
        for _ in range(2):
            emolab.pull(room.workspace)
        desk.close()
    assert votes_of(room.workspace) == {"ann": {sample: "sadness"}}


def test_an_answer_to_a_task_that_was_deleted_is_refused_said_and_asked_for_no_more(
    label_studio: LabelStudioServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABEL_STUDIO_URL", label_studio.url)
    monkeypatch.setenv("EMOLAB_STUDIO_TOKEN", label_studio.token)
    with label_studio.client() as studio:
        room = page_rooms.make(tmp_path / "room", studio, n=3, overlap=2)
        emolab.add_serve_person(room.workspace, "ann")
        desk = VotingDesk(room.workspace, people_file(room.workspace))
        asked = [face.sample for face in desk.next_faces("ann", [], 3).faces]
        tasks = {t.uid: t.id for page in studio.changed_tasks(room.number, None) for t in page}
        studio.delete_tasks(room.number, [tasks[asked[0]]])
        for sample in asked[:2]:
            desk.answer("ann", GivenAnswer(id=str(uuid.uuid4()), sample=sample, label="neutral", seconds=1.0))
        emolab.pull(room.workspace)
        desk.refresh()
        told = desk.next_faces("ann", [], 3)
        desk.close()
    assert [face.sample for face in told.faces] == asked[2:]
    assert (told.counts.waiting, told.counts.refused) == (0, 1)
    assert votes_of(room.workspace) == {"ann": {asked[1]: "neutral"}}
    (line,) = emolab.status(room.workspace).app.lines()
    assert line == "Label Studio refused 1 answer of the app: no vote"


@pytest.mark.parametrize("way", ["revoked", "expired"])
def test_a_link_that_is_over_is_said_and_what_was_said_before_stays(opened: Any, way: str) -> None:
    place = opened(n=4, overlap=2)
    ann = place.voter("ann")
    ann.press(KEYS["happiness"], "happiness")
    ann.sent()
    if way == "revoked":
        emolab.revoke_serve_person(place.workspace, "ann")
    else:
        file = place.workspace.state / "serving" / "people.json"
        content = json.loads(file.read_text())
        content["people"][0]["expires_at"] = datetime.now(UTC).isoformat()
        file.write_text(json.dumps(content, indent=1))
    ann.only_press(KEYS["sadness"])
    ann.page.wait_for_selector(f".notice[data-kind='link_{way}']")
    screenshot(ann, way)
    wait_until(lambda: len(ledger(place.workspace)) == 1)
    assert list(votes_of(place.workspace).values()) == [ann.said]
    ann.page.goto(ann.link)
    ann.page.wait_for_selector(".notice[data-kind^='link_']")


def test_guesses_are_shown_or_kept_back_as_in_label_studio_and_the_ledger_knows(opened: Any) -> None:
    place = opened(n=9, overlap=2, shown=True, blind=0.5)
    room: Room = place.room
    ann = place.voter("ann")
    shown = {}
    for _ in range(9):
        sample = ann.sample
        marked = ann.page.locator(".answer[data-guess='yes']")
        shown[sample] = marked.get_attribute("data-label") if marked.count() else None
        ann.press(KEYS["sadness"], "sadness")
    expected = {s: None if stays_blind(s, 0.5) else room.guesses.get(s) for s in room.truth}
    assert shown == expected
    arrive(place.workspace, ann)
    found = {vote.sample_id: vote.shown for vote in ledger(place.workspace)}
    assert found == {sample: guess or "" for sample, guess in expected.items()}
    with place.workspace.catalog() as catalog, catalog.connect() as conn:
        from emolab.catalog.campaign import guesses

        told = {one.sample_id: (one.guess, one.shown) for one in guesses.answers(conn)}
    assert told == {s: (g, not stays_blind(s, 0.5)) for s, g in room.guesses.items()}


def test_names_and_texts_with_scripts_never_run_and_the_keyboard_is_enough(opened: Any) -> None:
    settings = (
        f"labeling.instructions={PAYLOAD}", "labeling.second_guess=true", "labeling.confidence=true",
        "labeling.names=happiness=<b onmouseover=window.ran=1>",
    )  # fmt: skip
    place = opened(n=4, overlap=2, settings=settings)
    ann = place.voter(PAYLOAD)
    page = ann.page
    assert ann.text("#who") == PAYLOAD
    assert ann.text(".answer span") == "<b onmouseover=window.ran=1>"
    for _ in range(40):  # by Tab to the instructions, which open with Enter
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.tagName") == "SUMMARY":
            break
    page.keyboard.press("Enter")
    assert PAYLOAD in ann.text(".help")
    screenshot(ann, "payload")
    page.keyboard.press("Shift+Digit2")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    sample = ann.press(KEYS["happiness"], "happiness")
    page.locator(".answer[data-label='neutral']").focus()
    ann.press("Enter", "neutral")
    assert page.evaluate("window.ran") is None
    assert "dialog" not in ann.heard
    assert not any("Content Security Policy" in line for line in ann.heard)
    arrive(place.workspace, ann)
    (vote,) = [vote for vote in ledger(place.workspace) if vote.sample_id == sample]
    assert (vote.second, vote.confidence) == ("sadness", pytest.approx(2 / 3))


@pytest.mark.parametrize(("width", "height", "scheme"), [(360, 640, "dark"), (360, 640, "light"), (1280, 800, "dark")])
def test_everything_fits_on_a_phone_and_on_a_desk(opened: Any, width: int, height: int, scheme: str) -> None:
    place = opened(n=3, overlap=2)
    phone = width < 500
    context = place.context(
        viewport={"width": width, "height": height}, color_scheme=scheme, has_touch=phone, is_mobile=phone
    )
    ann = place.voter("ann", context, language="de")
    screenshot(ann, f"{width}-{scheme}")
    assert ann.page.evaluate("document.documentElement.scrollWidth") == width
    for box in (one.bounding_box() for one in ann.page.locator(".answer").all()):
        assert box["height"] >= 40
        assert box["x"] >= 0 and box["x"] + box["width"] <= width
        assert box["y"] + box["height"] <= height
    assert ann.text(".ask h1") == "Welchen Ausdruck sehen Sie?"
    ann.tap("happiness")
    arrive(place.workspace, ann)
