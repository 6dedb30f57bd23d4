"""A video is tried in a real browser, which takes the pictures: nothing is uploaded whole, and nothing is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from emolab.workspace import Workspace
from tests.serving.test_workbench_wrong import ledger, media, samples
from tests.support import films
from tests.support.app_screen import NARROW, WIDE, AppServer, app_server, on_screen
from tests.support.studio_screen import browser  # noqa: F401 (fixture)

pytestmark = [pytest.mark.browser, pytest.mark.slow]
pytest.importorskip("av")


def at_page(page: Any, server: AppServer) -> None:
    page.locator("#nav a").first.wait_for()
    page.goto(f"{server.url}/app#/try")
    page.locator("#picture").wait_for()


def one_person(seconds: float) -> list[tuple[int, float, float, int]]:
    return [(0, 150 + 20 * seconds, 120, 220)]


def test_a_video_becomes_a_timeline_and_each_moment_can_be_looked_into(
    workspace: Workspace,
    tmp_path: Path,
    browser: Any,  # noqa: F811
) -> None:
    film = films.write(tmp_path / "a<b>.webm", one_person, seconds=3, rate=8, codec="libvpx")
    whole = workspace.with_settings({"collect.faces": "off"})  # as the model of these tests sees pictures
    with (
        app_server(whole, tmp_path / "server") as server,
        on_screen(browser, server.link(), size=NARROW, dark=True) as page,
    ):
        at_page(page, server)
        sent: list[str] = []
        page.on("request", lambda one: sent.append(one.url) if one.method == "POST" else None)
        page.locator("#picture").set_input_files(film)
        page.locator(".moment").wait_for()
        assert page.locator(".moment").get_attribute("max") == "11"  # four moments a second
        assert page.locator(".lane").count() == 1
        assert page.locator(".timeline .figures tbody tr").inner_text().split()[:4] == ["1", "0:00", "–", "0:03"]
        page.locator(".acts button").first.wait_for()
        assert sent == [f"{server.url}/app/api/try"] * 13  # a picture each, and the one that is shown in the end
        page.locator(".moment").focus()
        for _ in range(4):
            page.keyboard.press("ArrowRight")
        page.locator(".film-going output", has_text="0:01.00").wait_for()
        assert page.locator(".moment").get_attribute("aria-valuetext").startswith("0:01.00, ")
        lane = page.locator(".lane")
        lane.scroll_into_view_if_needed()
        lane.click(position={"x": 0.75 * lane.bounding_box()["width"], "y": 20})
        page.locator(".stage[data-at='2.25'] img").wait_for(timeout=8000)
        page.locator(".film-going output", has_text="0:02.25").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") == NARROW["width"]
        assert (samples(workspace), media(workspace)) == ([], [])

        page.get_by_role("button", name="What it looked at").click()
        page.locator(".looked canvas").wait_for()
        page.get_by_role("button", name="This is wrong").click()
        page.locator(".choice", has_text="neutral").click()
        page.get_by_role("button", name="Store the face").click()
        page.locator(".kept", has_text="Your vote: neutral").wait_for()
    (kept,), (vote,) = samples(workspace), ledger(workspace)
    assert kept.name is not None and kept.name.startswith("a<b>.webm@2.25s")
    assert kept.group is not None and kept.group.startswith("tryout ")
    assert vote.label == "neutral"


def test_what_is_no_video_or_too_long_or_cut_off_is_said(
    workspace: Workspace,
    tmp_path: Path,
    browser: Any,  # noqa: F811
) -> None:
    whole = films.write(tmp_path / "whole.webm", one_person, seconds=6, rate=8, codec="libvpx")
    cut = tmp_path / "cut.webm"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    junk = tmp_path / "<img src=x onerror=window.ran=1>.mp4"
    junk.write_bytes(b"no video at all" * 100)
    long = films.write(tmp_path / "long.webm", films.nobody, times=[0.0, 1.0, 700.0], codec="libvpx")
    with app_server(workspace, tmp_path / "server") as server, on_screen(browser, server.link(), size=WIDE) as page:
        at_page(page, server)
        alert = page.locator("[role=alert]")
        for file, said in ((junk, "cannot play"), (_sound(tmp_path / "sound.wav"), "only sound"), (long, "12 minutes")):
            page.locator("#picture").set_input_files(file)
            page.locator("[role=alert]", has_text=said).wait_for()
            assert page.locator(".moment").count() == 0
        page.locator("#picture").set_input_files(cut)
        page.locator(".moment").wait_for()
        assert alert.inner_text().startswith("The video is damaged from 0:0")
        assert 4 <= int(page.locator(".moment").get_attribute("max")) < 20
        page.locator("#picture").set_input_files(whole)
        page.locator(".film-going progress").wait_for()
        page.get_by_role("button", name="Stop here").click()
        page.locator(".moment").wait_for()
        assert alert.count() == 0
    assert not samples(workspace)


def _sound(path: Path) -> Path:
    import wave

    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(bytes(16000))
    return path.rename(path.with_suffix(".mp4"))  # a sound that is called a video
