"""'This is wrong' in a real browser: asked first, stored once whatever happens to the line, changed and taken back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import emolab
from emolab.workspace import Workspace
from tests.serving.test_workbench_wrong import EVIL, ledger, media, samples
from tests.support.app_screen import NARROW, AppServer, app_server, on_screen
from tests.support.serving import picture
from tests.support.studio_screen import browser  # noqa: F401 (fixture)

pytestmark = pytest.mark.browser


def tried(page: Any, server: AppServer, file: Path) -> None:
    """Let the page look at a picture, and wait for the answer."""
    page.locator("#nav a").first.wait_for()
    page.goto(f"{server.url}/app#/try")
    page.locator("#picture").set_input_files(file)
    page.locator(".answer h2", has_text="happiness").wait_for()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / EVIL.replace("/", "")
    made.write_bytes(picture(200, size=(60, 60)))
    return made


def test_a_face_is_kept_once_changed_and_taken_back(
    workspace: Workspace,
    tmp_path: Path,
    file: Path,
    browser: Any,  # noqa: F811
) -> None:
    with app_server(workspace, tmp_path / "server") as server:
        link = emolab.add_serve_person(workspace, "ann", role="owner", url=server.url).link
        with on_screen(browser, link, size=NARROW, dark=True) as page:
            tried(page, server, file)
            wrong = page.get_by_role("button", name="This is wrong")
            wrong.focus()
            page.keyboard.press("Enter")  # by keyboard alone
            assert "vote of ann" in page.locator("dialog").inner_text()
            page.keyboard.press("Escape")
            page.locator("dialog").wait_for(state="detached")
            assert page.evaluate("document.activeElement.textContent") == "This is wrong"
            wrong.click()
            page.get_by_role("button", name="Cancel").click()
            assert (samples(workspace), media(workspace)) == ([], [])

            wrong.click()
            page.locator(".choice", has_text="sadness").click()
            page.get_by_role("button", name="Store the face").dblclick()
            page.locator(".kept", has_text="Your vote: sadness").wait_for()
            assert [vote.label for vote in ledger(workspace, rejected=True)] == ["sadness"]
            assert page.evaluate("document.documentElement.scrollWidth") == NARROW["width"]

            _change_over_a_bad_line(page)
            assert [vote.label for vote in ledger(workspace)] == ["neutral"]
            assert len(ledger(workspace, rejected=True)) == 2

            page.get_by_role("button", name="Take my vote back").click()
            page.locator(".kept", has_text="was taken back").wait_for()
            assert ledger(workspace, rejected=True) == [] and len(samples(workspace)) == 1
            page.goto(f"{server.url}/app#/data?source=tryout")
            page.locator(".tile").first.click()
            page.locator(".side h2", has_text="onerror").wait_for()  # the name is text


def _change_over_a_bad_line(page: Any) -> None:
    """Say "neutral" instead; the server stores it, but its first reply is lost."""
    lost: list[str] = []

    def lose(route: Any) -> None:
        route.fetch()
        lost.append(route.request.post_data_json["id"])
        route.abort() if len(lost) == 1 else route.continue_()

    page.route("**/app/api/try/wrong", lose)
    page.get_by_role("button", name="Change my answer").click()
    page.locator(".choice", has_text="neutral").click()
    page.get_by_role("button", name="Store the face").click()
    page.locator("dialog [role=alert]", has_text="No answer came").wait_for()
    page.get_by_role("button", name="Send again").click()
    page.locator(".kept", has_text="Your vote: neutral").wait_for()
    assert len(lost) == 2 and len(set(lost)) == 1
    page.unroute("**/app/api/try/wrong")


def test_readers_may_try_and_keep_nothing(
    workspace: Workspace,
    tmp_path: Path,
    file: Path,
    browser: Any,  # noqa: F811
) -> None:
    with app_server(workspace, tmp_path / "server") as server:
        link = emolab.add_serve_person(workspace, "rea", role="reader", url=server.url).link
        with on_screen(browser, link) as page:
            tried(page, server, file)
            page.get_by_role("button", name="What it looked at").wait_for()
            assert page.get_by_role("button", name="This is wrong").count() == 0
            assert "Nothing is kept." in page.locator(".drop").inner_text()
