"""A round is proposed and sent by the page of the app, with real servers and a browser: on the server exactly once.

Double clicks, two tabs, a stop in the middle while the server carries out what it was sent, and sending again.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

import emolab
from emolab.catalog.campaign import rounds
from emolab.labeling.sync.project import title_of
from emolab.workspace import Workspace
from tests.support.app_page import PATIENCE, app_server, wait_until
from tests.support.proxy import Proxy
from tests.support.serve_process import ServeProcess
from tests.support.servers import LabelStudioServer
from tests.support.studio_screen import SIZE, browser  # noqa: F401 (fixture)
from tests.support.syncing import add_samples, named, there

pytestmark = [pytest.mark.labelstudio, pytest.mark.browser, pytest.mark.serve, pytest.mark.slow]
IMPORT = r"POST /api/projects/\d+/import\?.*return_task_ids"
N = 12


class Desk:
    """A workspace without a round, its app, and tabs of its owner."""

    def __init__(self, stack: ExitStack, chromium: Any, workspace: Workspace, server: ServeProcess) -> None:
        self.stack, self.chromium, self.workspace, self.server = stack, chromium, workspace, server
        self.link = emolab.add_serve_person(workspace, "olga", role="owner", url=server.url).link

    def tab(self) -> Any:
        """A browser of its own at the page of suggestions."""
        context = self.chromium.new_context(viewport=SIZE, locale="en")
        self.stack.callback(context.close)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(self.link)
        page.get_by_role("link", name="Suggest").click()
        page.locator("[name=propose]").wait_for()
        return page

    def rounds(self) -> list[int]:
        with self.workspace.catalog() as catalog, catalog.connect() as conn:
            return [made.n for made in rounds.list_all(conn)]

    def did(self) -> list[str]:
        files = sorted(self.workspace.state.rglob("*app*.jsonl"))
        return [json.loads(line)["did"] for file in files for line in file.read_text().splitlines()]


@pytest.fixture
def opened(
    browser: Any,  # noqa: F811
    label_studio: LabelStudioServer,
    workspace: Workspace,
) -> Iterator[Any]:
    with ExitStack() as stack:

        def desk(url: str | None = None) -> Desk:
            team = named(workspace, f"suggest {uuid.uuid4().hex[:8]}")
            add_samples(team, N)
            server = stack.enter_context(app_server(team, url or label_studio.url, label_studio.token))
            return Desk(stack, browser, team, server)

        yield desk


def propose(page: Any, n: int) -> None:
    page.locator("[name=many]").fill(str(n))
    page.locator("[name=propose]").dblclick()


def test_a_round_is_proposed_and_sent_once_whatever_is_clicked(opened: Any, label_studio: LabelStudioServer) -> None:
    desk = opened()
    one, other = desk.tab(), desk.tab()
    propose(one, 5)
    one.get_by_role("button", name="Send 5 to the team").wait_for()
    other.get_by_role("button", name="Send 5 to the team").wait_for()
    assert desk.rounds() == [5]
    for page in (one, other):
        page.locator(".proposed li").nth(4).wait_for()
    assert one.locator(".proposed li").count() == other.locator(".proposed li").count() == 5
    for page in (one, other):
        page.locator("[name=push]").evaluate("button => { button.click(); button.click(); }")
    for page in (one, other):
        page.get_by_text("5 wait for answers now").wait_for()
        page.locator("[name=push]").wait_for(state="detached")
    with label_studio.client() as studio:
        found = there(studio, title_of(desk.workspace.config))
    assert sorted(found.values()) == [1] * 5
    assert desk.did() == ["propose", "propose done", "push", "push done"]
    assert "/projects/" in str(one.get_by_role("link", name="Open in Label Studio").get_attribute("href"))
    one.get_by_role("link", name="Vote here").click()
    one.locator(".stage[data-shown]").wait_for()


def test_a_push_that_is_stopped_while_the_server_works_is_taken_up_and_no_face_is_there_twice(
    opened: Any, label_studio: LabelStudioServer
) -> None:
    held, gate = threading.Event(), threading.Event()

    def hold() -> None:
        held.set()
        gate.wait(120)

    with Proxy(label_studio.url) as proxy:
        proxy.fault(IMPORT, "call", action_on=hold)
        desk = opened(proxy.url)
        one, other = desk.tab(), desk.tab()
        propose(one, 6)
        one.locator("[name=push]").click()
        assert held.wait(60)
        other.get_by_text("Sending to the team").wait_for()
        assert one.locator("[name=propose]").is_disabled() and one.locator(".tasks progress").count() > 0
        other.get_by_role("button", name="Stop").click()
        one.get_by_text("Stopped. What was sent stays").wait_for()
        gate.set()  # only now the server gets what nobody waits for any more
        one.get_by_text("still on their way: 6").wait_for()
        one.get_by_role("button", name="Send 6 to the team").click()
        one.get_by_text("6 wait for answers now").wait_for()
    with label_studio.client() as studio:
        wait_until(lambda: sum(there(studio, title_of(desk.workspace.config)).values()) >= 6)
        assert sorted(there(studio, title_of(desk.workspace.config)).values()) == [1] * 6
    assert desk.did() == [
        *("propose", "propose done", "push", "stop push", "push stopped", "push", "push done"),
    ]


def test_a_round_chosen_by_hand_is_sent_by_one_click(opened: Any, label_studio: LabelStudioServer) -> None:
    desk = opened()
    page = desk.tab()
    page.get_by_role("link", name="Data").click()
    page.locator(".tile").first.focus()
    page.keyboard.press("x")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("x")
    page.get_by_role("button", name="Ask the team").click()
    page.get_by_role("link", name="Look at them and send").click()
    page.get_by_role("button", name="Send 2 to the team").click()
    page.get_by_text("2 wait for answers now").wait_for()
    with label_studio.client() as studio:
        assert sorted(there(studio, title_of(desk.workspace.config)).values()) == [1, 1]
    assert desk.did() == ["ask", "push", "push done"]


def test_the_job_outlives_its_tab_and_ends_with_the_server(opened: Any, label_studio: LabelStudioServer) -> None:
    held, gate = threading.Event(), threading.Event()

    def hold() -> None:
        held.set()
        gate.wait(120)

    with Proxy(label_studio.url) as proxy:
        proxy.fault(IMPORT, "call", action_on=hold)
        desk = opened(proxy.url)
        page = desk.tab()
        propose(page, 4)
        page.locator("[name=push]").click()
        assert held.wait(60)
        page.close()
        again = desk.tab()
        again.get_by_text("Sending to the team").wait_for()
        assert desk.workspace.busy("push")
        desk.server.stop()
        wait_until(lambda: not desk.workspace.busy("push"), what="the end of the job")
        gate.set()
    assert desk.did()[-1] == "push stopped"
