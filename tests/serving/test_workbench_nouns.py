"""The pages say what one sample is called: faces, clips or sentences, in every language."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from emolab.plugins import MODALITIES
from emolab.serving.workbench import shell
from emolab.workspace import Workspace
from tests.support.app_screen import app_server, on_screen
from tests.support.studio_screen import browser  # noqa: F401 (fixture)

LANGUAGES = ("en", "de", "es", "fr", "ru")
SLOT = re.compile(r"\{([^\W\d_]+)\}")


def texts(language: str) -> str:
    held = shell.parts()
    return "".join(held[name].decode() for name in (f"words/{language}.json", f"words/look/{language}.json"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_noun_has_a_word_for_each_other_modality(language: str) -> None:
    nouns = json.loads(shell.parts()["words/nouns.json"])[language]
    others = [name for name in MODALITIES.builtins if name != "image"]
    assert {frozenset(forms) for forms in nouns.values()} == {frozenset(others)}
    used = set(SLOT.findall(texts(language)))
    assert set(nouns) <= used  # none is left over
    values = set(SLOT.findall(texts("en"))) - set(json.loads(shell.parts()["words/nouns.json"])["en"])
    assert used - set(nouns) <= values | {"one", "other"}


@pytest.mark.browser
@pytest.mark.parametrize(("modality", "noun"), [("image", "pictures"), ("audio", "clips"), ("text", "sentences")])
def test_the_pages_speak_of_what_the_workspace_holds(
    tmp_path: Path,
    browser: Any,  # noqa: F811
    modality: str,
    noun: str,
) -> None:
    workspace = Workspace.init(tmp_path / "w", classes=("happiness", "anger"), modality=modality)
    said = ""
    with app_server(workspace, tmp_path / "a") as server, on_screen(browser, server.link()) as page:
        for name in ("vote", "data", "suggest", "model", "monitor", "team"):
            page.locator(f"#nav a[data-page={name}]").click()
            page.locator("main :is(h1, h2, p):visible").first.wait_for()
            page.wait_for_load_state("networkidle")
            said += page.inner_text("main") + "\n"
        page.locator("#nav a[data-page=data]").click()
        page.locator("#language").select_option("de")
        page.get_by_text("Holen Sie").wait_for()
        said_in_german = page.inner_text("main")
    assert f"Bring {noun} in" in said
    assert not SLOT.search(said + said_in_german)
    others = re.findall(r"\b(?:[Ff]aces?|[Pp]ictures?|[Ii]mages?)\b", said)
    assert bool(others) is (modality == "image"), others
    assert bool(re.search("Bild|Gesicht", said_in_german)) is (modality == "image")
