"""The page of the team in a real browser: who differs with whom leads to the faces, and no name runs as a script."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from emolab.workspace import Workspace
from tests.support.app_screen import NARROW, app_server, on_screen
from tests.support.studio_screen import browser  # noqa: F401 (fixture)
from tests.support.voting import vote

pytestmark = pytest.mark.browser
H, S, N = "happiness", "sadness", "neutral"
EVIL = "<img src=x onerror=window.ran=1>"


def name(number: int) -> str:
    return f"{number:04d}" + "0" * 60


def test_the_team_is_shown_and_leads_to_what_two_people_differ_on(
    workspace: Workspace,
    tmp_path: Path,
    browser: Any,  # noqa: F811
) -> None:
    vote(workspace, {name(i): {"ann": H, EVIL: H if i % 4 else S, "</td><script>": (H, N)[i % 2]} for i in range(20)})
    with app_server(workspace, tmp_path / "server") as server, on_screen(browser, server.link(), size=NARROW) as page:
        page.locator("#nav a").first.wait_for()
        page.goto(f"{server.url}/app#/team")
        page.locator(".talk li").first.wait_for()
        assert page.locator(".talk li").count() == 15, "no more than people differ on"
        assert page.locator(".figures").first.locator("tbody tr").count() == 3
        assert EVIL in page.locator("main").inner_text()
        assert page.evaluate("document.documentElement.scrollWidth") == NARROW["width"]
        page.get_by_role("link", name=f"ann and {EVIL}: the same on 15 of 20 faces").click()
        page.locator(".counted", has_text="5 samples").wait_for()
        page.go_back()
        page.locator(".talk li").first.wait_for()
        vote(workspace, {name(30): {"ann": H, EVIL: S}})
        page.get_by_role("button", name="Count again").click()
        page.locator(".talk li").nth(15).wait_for()


def test_without_votes_the_page_says_what_to_type(
    workspace: Workspace,
    tmp_path: Path,
    browser: Any,  # noqa: F811
) -> None:
    with app_server(workspace, tmp_path / "server") as server, on_screen(browser, server.link(), dark=True) as page:
        page.locator("#nav a").first.wait_for()
        page.goto(f"{server.url}/app#/team")
        page.get_by_text("Nobody has voted yet").wait_for()
        assert page.locator("pre").inner_text().startswith("emolab ")
