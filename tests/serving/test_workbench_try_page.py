"""The page where a picture or the camera is tried, in a real browser with a made-up camera."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import emolab
from emolab.config import CollectConfig
from emolab.errors import DataError
from emolab.modalities.image.decode import Preprocessing
from emolab.serving.face_maps import FaceMaps
from emolab.serving.model_host import ModelHost
from emolab.workspace import Workspace
from tests.support.app_screen import NARROW, app_server
from tests.support.serving import FakeModel, picture, version
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


@pytest.mark.parametrize("levels", [{}, {"0.9": 0.3}])
def test_the_set_that_holds_the_right_class_stands_beside_the_bars(
    workspace: Workspace, tmp_path: Path, levels: dict[str, float]
) -> None:
    model = FakeModel(conformal={"n": 200, "levels": levels} if levels else {})
    with app_over(workspace, tmp_path, model=model) as (bench, browser):
        enter(browser, token_of(f"#{bench.new_owner()}"))
        told = [browser.post("/app/api/try", content=picture(level)).json() for level in (153, 255)]
    sets = [one["images"][0]["faces"][0].get("among") for one in told]
    assert sets == ([["happiness", "sadness"], ["happiness"]] if levels else [None, None])
    assert [one["coverage"] for one in told] == [0.9 if levels else None] * 2


def test_a_map_says_which_part_of_the_face_spoke_for_the_answer(workspace: Workspace, tmp_path: Path) -> None:
    half = Image.new("L", (40, 40), 0)
    half.paste(255, (0, 0, 26, 40))  # the fake model is happy about what is bright
    with app_over(workspace, tmp_path) as (bench, browser):
        assert browser.post("/app/api/try/looked", content=png(half)).status_code == 401
        enter(browser, token_of(f"#{bench.new_owner()}"))
        found = browser.post("/app/api/try/looked?face=1", content=png(half)).json()
        assert (found["label"], found["way"], found["cut"]) == ("happiness", "occlusion", None)
        values = np.array(found["values"])
        assert values.shape == (8, 8) and np.abs(values).max() == 1
        assert values[:, :4].mean() > 0.2 and values[:, :4].mean() > values[:, 6:].mean() + 0.3
        for path, content, status in (("?face=2", png(half), 422), ("?face=x", png(half), 422), ("", b"no", 422)):
            refused = browser.post(f"/app/api/try/looked{path}", content=content)
            assert (refused.status_code, bool(refused.json()["error"]["message"])) == (status, True)
        service = browser.app.state.service  # type: ignore[attr-defined]
        assert (service.capacity.held_images, service.capacity.held_bytes) == (0, 0)
    assert not list((workspace.root / ".emolab" / "media").rglob("*.png"))


def test_the_map_of_a_face_lies_over_the_part_that_the_network_saw(portrait: Image.Image) -> None:
    opened = version(FakeModel(preprocessing=Preprocessing(24, "gray")))
    opened.predictor.looking = CollectConfig(faces="all")
    host = ModelHost(opened)
    try:
        found = FaceMaps(host).of(png(portrait), 1)
    finally:
        host.close()
    with pytest.raises(DataError, match="about to end"):
        FaceMaps(host).of(png(portrait), 1)
    assert found.cut is not None
    left, top, across, down = found.cut
    assert across == down and 100 < across < 300
    assert left < 260 < left + across and top < 120 < top + down  # between her eyes


def png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


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
        assert page.locator(".sure").inner_text().startswith("This model states nothing about its certainty")
        look = page.get_by_role("button", name="What it looked at")
        look.click()
        page.locator(".looked canvas").wait_for()
        assert look.get_attribute("aria-pressed") == "true"
        assert "covering parts" in page.locator(".looked-legend").inner_text()
        look.press("Enter")
        assert look.get_attribute("aria-pressed") == "false" and not page.locator(".looked").is_visible()
        page.locator("#picture").set_input_files(tmp_path / "none.png")
        page.get_by_role("alert").wait_for()
        page.get_by_role("button", name="Use the camera").click()
        page.locator("video").wait_for()
        page.locator(".answer h2").wait_for()
        page.evaluate("window.tracks = document.querySelector('video').srcObject.getTracks()")
        page.get_by_role("button", name="Stop the camera").click()
        page.get_by_role("button", name="What it looked at").wait_for()  # the last picture stays, to be looked into
        assert page.evaluate("window.tracks.every(t => t.readyState === 'ended')")
        assert page.evaluate("document.documentElement.scrollWidth") == NARROW["width"]
        assert not failed and not page.evaluate("window.ran")
        chromium.close()
