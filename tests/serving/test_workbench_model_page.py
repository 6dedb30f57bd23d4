"""The page of the models in a real browser: from the weakest class to its faces, and from a cell to what is in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emolab.workspace import Workspace
from tests.support.app_screen import NARROW, AppServer, app_server, on_screen
from tests.support.judged_models import judged_model
from tests.support.studio_screen import browser  # noqa: F401 (fixture)

pytestmark = pytest.mark.browser
H, S, N = "happiness", "sadness", "neutral"
ANSWERS = [(H, H)] * 5 + [(H, S)] * 2 + [(S, S)] * 3 + [(N, S)] * 3 + [(N, N)]


def name(number: int) -> str:
    return f"{number:064x}"


@pytest.fixture
def server(workspace: Workspace, tmp_path: Path) -> Iterator[AppServer]:
    judged_model(workspace, "1", {name(i): told for i, told in enumerate(ANSWERS)})
    better = [*ANSWERS[:5], (H, H), *ANSWERS[6:-1], (N, H)]
    judged_model(workspace, "2", {name(i): told for i, told in enumerate(better)}, champion=True)
    with app_server(workspace, tmp_path / "server") as made:
        yield made


def to_models(page: Any, server: AppServer, query: str = "") -> None:
    page.locator("#nav a").first.wait_for()
    page.goto(f"{server.url}/app#/model{query}")
    page.locator(".matrix").wait_for()


def test_the_weakest_class_and_its_faces_are_two_clicks_away(server: AppServer, browser: Any) -> None:  # noqa: F811
    with on_screen(browser, server.link(), size=NARROW) as page:
        to_models(page, server)
        assert "Worst class: neutral. The model finds 0 of its 4 faces" in page.locator("main").inner_text()
        assert page.evaluate("document.documentElement.scrollWidth") == NARROW["width"]
        page.locator(".matrix a", has_text="3").last.click()
        page.locator(".tile").first.wait_for()
        page.locator(".counted", has_text="3 samples").wait_for()
        assert page.evaluate("decodeURIComponent(location.hash)").endswith(f"of=cell:{'2' * 64}:neutral:sadness")
        page.locator(".tile").first.click()
        page.locator(".note-text", has_text="neutral; the model says sadness (80%)").wait_for()


def test_the_faces_of_the_weakest_class_say_what_the_model_took_them_for(server: AppServer, browser: Any) -> None:  # noqa: F811
    with on_screen(browser, server.link()) as page:
        to_models(page, server, f"?show={'1' * 64}")
        top = page.locator("main > section").first
        assert "11111111" in top.inner_text(), "the summary stands above everything else"
        top.get_by_role("link", name="Open its faces, wrong answers first").click()
        page.locator(".counted", has_text="4 samples").wait_for()
        assert page.locator(".told").all_inner_texts() == ["→ sadness"] * 3 + ["→ neutral"]
        assert page.locator(".told[data-right='true']").count() == 0, "no labels were made here"


def test_two_models_stand_side_by_side_and_open_what_changed(server: AppServer, browser: Any) -> None:  # noqa: F811
    with on_screen(browser, server.link()) as page:
        to_models(page, server)
        page.get_by_label("Other model").select_option("1" * 64)
        page.locator(".count", has_text="1 faces put right").wait_for()
        assert page.locator(".count").all_inner_texts() == [
            "1 faces put right",
            "1 faces now wrong",
            "2 faces with another answer",
        ]
        page.locator(".count", has_text="now wrong").click()
        page.locator(".counted", has_text="1 samples").wait_for()
        page.go_back()
        page.locator(".count").first.wait_for()
        page.get_by_role("link", name="11111111").click()
        page.locator("h2", has_text="11111111").first.wait_for()


def test_without_a_model_the_page_says_what_to_type(tmp_path: Path, browser: Any) -> None:  # noqa: F811
    empty = Workspace.init(tmp_path / "empty", classes=(H, S))
    with app_server(empty, tmp_path / "server") as server, on_screen(browser, server.link(), dark=True) as page:
        page.locator("#nav a").first.wait_for()
        page.goto(f"{server.url}/app#/model")
        page.get_by_text("emolab collect PATH").wait_for()
