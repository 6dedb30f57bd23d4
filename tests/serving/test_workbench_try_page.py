"""The page where a picture or the camera is tried, in a real browser with a made-up camera."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import emolab
from emolab.workspace import Workspace
from tests.support.app_screen import NARROW, app_server
from tests.support.serving import picture
from tests.support.studio_screen import CHROMIUM, QUIET
from tests.support.workbench import app_over, enter, token_of


@pytest.mark.parametrize(("role", "status"), [("annotator", 403), ("reader", 200), ("owner", 200)])
def test_those_who_may_see_may_try_and_the_answer_is_noted(
    workspace: Workspace, tmp_path: Path, role: str, status: int
) -> None:
    with app_over(workspace, tmp_path) as (_, browser):
        assert browser.post("/app/api/try", content=picture(255)).status_code == 401
        enter(browser, token_of(emolab.add_serve_person(workspace, "rea", role=role).link))
        told = browser.post("/app/api/try", content=picture(255))
        assert told.status_code == status
        foreign = browser.post("/app/api/try", content=picture(255), headers={"origin": "http://evil.example"})
        assert foreign.status_code == 403
        bad = browser.post("/app/api/try", content=b"no picture")
        assert bad.status_code == (422 if status == 200 else 403)
    if status == 200:
        assert told.json()["images"][0]["faces"][0]["label"] == "happiness"
        noted = [json.loads(line) for file in (tmp_path / "audit").glob("*") for line in file.read_text().splitlines()]
        assert noted[0]["who"] == "rea" and noted[0]["images"] == 1


@pytest.mark.browser
def test_a_picture_and_the_camera_get_bars(workspace: Workspace, tmp_path: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed (apt-get install chromium)")
    (tmp_path / "bright.png").write_bytes(picture(255, size=(60, 60)))
    (tmp_path / "none.png").write_bytes(b"<script>window.ran=1</script>")
    camera = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    with playwright.sync_playwright() as driver, app_server(workspace, tmp_path / "server") as server:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, *camera])
        page: Any = chromium.new_context(viewport=NARROW, locale="en").new_page()
        failed: list[str] = []
        page.on("pageerror", lambda error: failed.append(str(error)))
        page.goto(server.link())
        page.locator("#nav a").first.wait_for()
        page.goto(f"{server.url}/app#/try")
        page.locator("#picture").set_input_files(tmp_path / "bright.png")
        page.locator(".answer h2", has_text="happiness").wait_for()
        assert page.locator(".bars tr").count() == 2
        page.locator("#picture").set_input_files(tmp_path / "none.png")
        page.get_by_role("alert").wait_for()
        page.get_by_role("button", name="Use the camera").click()
        page.locator("video").wait_for()
        page.locator(".answer h2").wait_for()
        page.get_by_role("button", name="Stop the camera").click()
        assert page.evaluate(
            "document.querySelector('video').srcObject.getTracks().every(t => t.readyState === 'ended')"
        )
        assert page.evaluate("document.documentElement.scrollWidth") == NARROW["width"]
        assert not failed and not page.evaluate("window.ran")
        chromium.close()
