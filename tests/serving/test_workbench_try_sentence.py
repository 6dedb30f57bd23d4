"""The page *Try it* takes a sentence where a model of sentences answers, in a real browser."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emolab.modalities.text.learn import TextSettings, learn
from emolab.modalities.text.ngrams import NgramConfig
from emolab.modalities.text.text_model import TextModel
from emolab.workspace import Workspace
from tests.support.app_screen import NARROW, app_server
from tests.support.studio_screen import CHROMIUM, QUIET
from tests.support.workbench import app_over, enter, token_of


@pytest.fixture(scope="module")
def model() -> TextModel:
    texts = ["so glad", "how glad", "oh no, tears", "tears again", "glad tears", "tears, glad"] * 5
    targets = np.array([[1, 0], [1, 0], [0, 1], [0, 1], [1, 1], [1, 1]] * 5, np.float32)
    settings = TextSettings(ngrams=NgramConfig(bits=16), strength=5)
    return learn(texts, targets, ("happiness", "sadness"), settings=settings).model


def test_a_sentence_is_answered_and_a_map_of_it_is_refused(
    workspace: Workspace, tmp_path: Path, model: TextModel
) -> None:
    with app_over(workspace, tmp_path, model=model) as (bench, browser):
        enter(browser, token_of(f"#{bench.new_owner()}"))
        assert browser.get("/app/api/me").json()["pictures"] is False
        (told,) = browser.post("/app/api/try", json={"text": "glad tears, Sarah"}).json()["samples"]
        assert (told["sample"], set(told["labels"])) == ("glad tears, [NAME]", {"happiness", "sadness"})
        refused = browser.post("/app/api/try/looked?face=1", content=b"glad")
        assert (refused.status_code, refused.json()["error"]["message"]) == (
            *(422, "The model that answers here does not look at pictures."),
        )
        assert browser.post("/app/api/try", json={"text": " "}).status_code == 422


def with_sets(model: TextModel, level: float) -> TextModel:
    """``model``, which states that sets of classes from ``level`` on hold all labels of nine sentences in ten."""
    assert model.calibration is not None
    return replace(model, calibration=replace(model.calibration, conformal={"n": 200, "levels": {"0.9": level}}))


@pytest.mark.parametrize("level", [None, 0.0, 0.999])
def test_the_set_that_holds_all_labels_comes_with_a_sentence(
    workspace: Workspace, tmp_path: Path, model: TextModel, level: float | None
) -> None:
    asked = model if level is None else with_sets(model, level)
    with app_over(workspace, tmp_path, model=asked) as (bench, browser):
        enter(browser, token_of(f"#{bench.new_owner()}"))
        told = browser.post("/app/api/try", json={"text": "so glad"}).json()
    found = told["samples"][0].get("among")
    assert found == {None: None, 0.0: ["happiness", "sadness"], 0.999: ["happiness"]}[level]
    assert told["coverage"] == (None if level is None else 0.9)


@pytest.mark.browser
def test_the_page_shows_every_class_that_applies(workspace: Workspace, tmp_path: Path, model: TextModel) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed (apt-get install chromium)")
    with (
        playwright.sync_playwright() as driver,
        app_server(workspace, tmp_path / "server", model=with_sets(model, 0.0)) as server,
    ):
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=[*QUIET])
        page: Any = chromium.new_context(viewport=NARROW, locale="en").new_page()
        failed: list[str] = []
        page.on("pageerror", lambda error: failed.append(str(error)))
        page.goto(server.link())
        page.locator("#nav a").first.wait_for()
        page.goto(f"{server.url}/app#/try")
        page.locator("#sentence").fill("glad tears <b>x</b>")
        page.get_by_role("button", name="Ask the model").click()
        page.locator(".answer h2").wait_for()
        assert set(page.locator(".answer h2").inner_text().split(", ")) == {"happiness", "sadness"}
        assert page.locator(".bars tr[data-among=true]").count() == 2
        said = page.locator(".answer .sure").inner_text()
        assert re.match(r"With 90\s?% certainty all its emotions are among: ", said)
        assert {"happiness", "sadness"} == set(said.split(": ")[1].split(".")[0].split(", "))
        assert page.locator(".answer .soft").first.inner_text() == "glad tears <b>x</b>"
        page.locator("#sentence").fill("   ")
        page.get_by_role("button", name="Ask the model").click()
        page.get_by_role("alert").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") == NARROW["width"]
        assert not failed
        chromium.close()
