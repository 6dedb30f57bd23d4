"""The page of the monitor in a real browser: alarms, figures, a new look without a reload, by keys, at 360 px."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import emolab
from emolab.catalog import samples
from emolab.loop.look.moved_record import write_moved
from emolab.loop.operate.monitor import look_record
from emolab.loop.operate.monitor.arrived_samples import MovedPictures
from emolab.workspace import Workspace
from tests.support.app_screen import NARROW, app_server, on_screen
from tests.support.looks import add_looks, look
from tests.support.serving import picture
from tests.support.studio_screen import browser  # noqa: F401 (fixture)

pytestmark = pytest.mark.browser
MODEL, OTHER = "a" * 64, "b" * 64
EVIL = "<img src=x onerror=window.ran=1>"


def test_a_new_look_shows_by_itself_with_its_alarms_in_words(
    workspace: Workspace,
    tmp_path: Path,
    browser: Any,  # noqa: F811
) -> None:
    add_looks(workspace, MODEL, 5)
    with app_server(workspace, tmp_path / "server") as server, on_screen(browser, server.link(), size=NARROW) as page:
        page.locator("#nav a[data-page=monitor]").click()
        page.get_by_text("Quiet: no alarm").wait_for()
        assert page.locator(".alarm[data-kind=alarm]").count() == 0
        assert page.locator(".tall tbody tr").count() == 5
        assert "82 % estimated without labels (78 % to 85 %)" in page.locator(".big").inner_text()
        assert page.evaluate("document.documentElement.scrollWidth") == NARROW["width"]
        drifted = look(workspace, MODEL, 5, drifted=True, audited=True)
        evil = [{**alarm, "title": f"{EVIL} {alarm['title']}"} for alarm in drifted.alarms]
        look_record.append(workspace, replace(drifted, alarms=tuple(evil)))
        page.locator(".alarm[data-kind=alarm]").first.wait_for()
        assert page.locator(".said").inner_text() == "A new look has come: week of 2026-10-12"
        titles = page.locator(".alarm h2").all_inner_texts()
        assert titles[0] == f"{EVIL} What the model sees has changed: class mix"
        assert (
            "fear 18 % instead of 6 % (p = 1e-05).\nIt is the first look that shows it."
            in page.locator(".alarm .words").first.inner_text()
        )
        audited = "People found 70 % (61 % to 78 %) on 100 answers (week of 2026-10-12)."
        assert audited in page.locator("main").inner_text()
        assert page.locator(".tall tbody tr").count() == 6
        assert page.evaluate("document.documentElement.scrollWidth") == NARROW["width"]
        # the chart has a name for those who do not see it, and the figures stand in the table
        assert page.get_by_role("img", name="Accuracy over the looks, estimated and audited").count() == 1
        assert "71 % 67–74" in page.locator(".tall tbody tr").first.inner_text()
        page.locator("#language").select_option("de")
        page.get_by_role("heading", name="Hat das Modell noch recht?").wait_for()
        assert "Mischung der Klassen" in page.locator("main").inner_text()


def test_what_moved_is_shown_in_pictures_and_opens_on_the_wall(
    workspace: Workspace,
    tmp_path: Path,
    browser: Any,  # noqa: F811
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for level in range(4):
        (folder / f"{level}.png").write_bytes(picture(40 + 50 * level, size=(64, 64)))
    emolab.collect(workspace, folder, faces="off")
    with workspace.catalog() as catalog, catalog.connect() as conn:
        found = list(samples.iterate(conn))
    (record,) = add_looks(workspace, MODEL, 1, drifted=1)
    loudest = tuple((one, 4.0 - place, "sadness") for place, one in enumerate(found[:3]))
    write_moved(workspace, record, MovedPictures(words="3 samples.", loudest=loudest, beside=(found[3],)))
    with app_server(workspace, tmp_path / "server") as server, on_screen(browser, server.link()) as page:
        page.locator("#nav a[data-page=monitor]").click()
        page.locator(".moved img").first.wait_for()
        assert page.locator(".moved").first.inner_text().split() == ["sadness", "+4.0", "SD", "sadness", "+3.0", "SD",
                                                                      "sadness", "+2.0", "SD"]  # fmt: skip
        page.wait_for_function(
            "() => [...document.querySelectorAll('.moved img')].slice(0, 3).every(img => img.naturalWidth)"
        )
        page.get_by_text("Beside them: faces that judge models here").click()
        assert page.locator("details .moved li").count() == 1
        page.get_by_role("link", name="Open them on the wall").click()
        page.locator(".list-name", has_text="What moved, by the monitor: aaaaaaaa").wait_for()
        page.locator(".tile").nth(2).wait_for()
        assert page.locator(".tile").count() == 3


def test_another_model_is_chosen_by_keys(
    workspace: Workspace,
    tmp_path: Path,
    browser: Any,  # noqa: F811
) -> None:
    add_looks(workspace, MODEL, 2)
    add_looks(workspace, OTHER, 3, drifted=1)
    with app_server(workspace, tmp_path / "server") as server, on_screen(browser, server.link(), dark=True) as page:
        page.locator("#nav a[data-page=monitor]").click()
        choose = page.get_by_role("combobox", name="Model")
        choose.wait_for()
        assert page.locator(".tall tbody tr").count() == 2
        choose.focus()
        page.keyboard.press("ArrowDown")
        page.locator(".alarm[data-kind=alarm]").first.wait_for()
        assert page.url.endswith(f"#/monitor?model={OTHER}")
        assert page.locator(".tall tbody tr").count() == 3
        assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Model"
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "scroll"
        page.go_back()
        page.get_by_text("Quiet: no alarm").wait_for()


def test_without_looks_the_page_says_what_to_type_and_goes_on_by_itself(
    workspace: Workspace,
    tmp_path: Path,
    browser: Any,  # noqa: F811
) -> None:
    with app_server(workspace, tmp_path / "server") as server, on_screen(browser, server.link()) as page:
        page.locator("#nav a[data-page=monitor]").click()
        page.get_by_role("heading", name="What the model sees is not kept").wait_for()
        assert page.locator("pre").inner_text() == "emolab serve --app --set serve.log=true"
        (workspace.state / "served" / MODEL).mkdir(parents=True)
        page.get_by_role("heading", name="Nobody has looked yet").wait_for()
        assert page.locator("pre").inner_text() == "emolab monitor aaaaaaaa"
        add_looks(workspace, MODEL, 1)
        page.get_by_text("Quiet: no alarm").wait_for()
