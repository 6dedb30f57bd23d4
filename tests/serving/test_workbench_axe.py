"""Every page of the app is read by axe-core, in light and dark, wide and on a phone: no finding of any weight."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from emolab.loop.look.choose import ask_about
from emolab.workspace import Workspace
from tests.support import films
from tests.support.app_screen import NARROW, WIDE, AppServer, app_server, on_screen
from tests.support.judged_models import judged_model
from tests.support.looks import add_looks
from tests.support.serving import picture
from tests.support.studio_screen import browser  # noqa: F401 (fixture)
from tests.support.voting import vote
from tests.support.workbench import pushed

pytestmark = [pytest.mark.browser, pytest.mark.slow]
#: Page -> what is on the screen when it has come to rest.
PAGES = {
    "vote": "#main button", "data": ".tile", "suggest": ".proposed li", "model": ".matrix",
    "monitor": ".spark", "team": ".talk li", "try": "main input",
}  # fmt: skip
READ = """async () => (await axe.run()).violations.map(
  found => `${found.impact} ${found.id}: ${found.nodes.map(node => node.target.join(' ')).join(', ')}`)"""


@pytest.fixture(scope="module")
def axe() -> str:
    """The text of axe-core, as its package for Python brings it along."""
    pytest.importorskip("axe_playwright_python")
    return (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture
def server(workspace: Workspace, tmp_path: Path) -> Iterator[AppServer]:
    pushed(workspace, 4)
    answers = [("happiness", "happiness"), ("happiness", "sadness"), ("neutral", "neutral"), ("neutral", "sadness")]
    judged_model(workspace, "1", {f"{i:064x}": told for i, told in enumerate(answers)}, champion=True)
    vote(
        workspace,
        {f"{i:04d}" + "0" * 60: {"ann": "happiness", "bob": ("sadness", "happiness")[i % 2]} for i in range(8)},
    )
    ask_about(workspace, [f"{i:064x}" for i in range(4)], by="owner")
    add_looks(workspace, "a" * 64, 6, drifted=2)
    with app_server(workspace, tmp_path / "server") as made:
        yield made


def test_every_page_of_the_app_is_in_the_table(server: AppServer, browser: Any) -> None:  # noqa: F811
    with on_screen(browser, server.link()) as page:
        page.locator("#nav a").first.wait_for()
        assert set(page.evaluate("[...document.querySelectorAll('#nav a')].map(a => a.dataset.page)")) == set(PAGES)


@pytest.mark.parametrize(("size", "dark"), [(WIDE, False), (NARROW, True)], ids=["wide and light", "narrow and dark"])
def test_axe_finds_nothing(
    server: AppServer,
    browser: Any,  # noqa: F811
    axe: str,
    size: dict[str, int],
    dark: bool,
) -> None:
    found = {}
    with on_screen(browser, server.link(), size=size, dark=dark) as page:
        page.locator("#nav a").first.wait_for()
        for name, rest in PAGES.items():
            page.goto(f"{server.url}/app#/{name}")
            page.locator(rest).first.wait_for()
            page.evaluate(axe)
            found[name] = page.evaluate(READ)
    assert found == {name: [] for name in PAGES}


@pytest.mark.parametrize(("size", "dark"), [(WIDE, True), (NARROW, False)], ids=["wide and dark", "narrow and light"])
def test_axe_finds_nothing_in_answers_to_a_picture_and_a_video(
    server: AppServer,
    browser: Any,  # noqa: F811
    axe: str,
    tmp_path: Path,
    size: dict[str, int],
    dark: bool,
) -> None:
    pytest.importorskip("av")
    (tmp_path / "face.png").write_bytes(picture(200, size=(60, 60)))
    film = films.write(tmp_path / "film.webm", films.one, seconds=1, rate=8, codec="libvpx")
    found = {}
    with on_screen(browser, server.link(), size=size, dark=dark) as page:
        page.locator("#nav a").first.wait_for()
        page.goto(f"{server.url}/app#/try")
        page.evaluate(axe)
        page.locator("#picture").set_input_files(tmp_path / "face.png")
        page.get_by_role("button", name="What it looked at").click()
        page.locator(".looked canvas").wait_for()
        found["map"] = page.evaluate(READ)
        page.get_by_role("button", name="This is wrong").click()
        found["wrong"] = page.evaluate(READ)
        page.keyboard.press("Escape")
        page.locator("#picture").set_input_files(film)
        page.locator(".stage[data-at]").wait_for()
        found["film"] = page.evaluate(READ)
    assert found == {"map": [], "wrong": [], "film": []}


def test_axe_would_find_something(server: AppServer, browser: Any, axe: str) -> None:  # noqa: F811
    with on_screen(browser, server.link()) as page:
        page.locator("#nav a").first.wait_for()
        page.evaluate("document.body.append(Object.assign(document.createElement('button'), {type: 'button'}))")
        page.evaluate(axe)
        assert any("button-name" in line for line in page.evaluate(READ))
