"""The page of suggestions in a real browser, without Label Studio: what it says, to whom, and in which language."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import emolab
from emolab.active_learning.selection.revote import reason
from emolab.active_learning.selection.select import select
from emolab.catalog import samples
from emolab.catalog.campaign import rounds
from emolab.loop.look.choose import ask_about
from emolab.plugins import STRATEGIES
from emolab.records import Sample, Suggestion
from emolab.workspace import Workspace
from tests.active_learning.test_contract import CLASSES, make_pool
from tests.support.app_screen import NARROW, AppServer, app_server, on_screen
from tests.support.studio_screen import browser  # noqa: F401 (fixture)
from tests.support.syncing import add_samples

pytestmark = pytest.mark.browser
EVIL = "<img src=x onerror=window.ran=1>"


@pytest.fixture
def server(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppServer]:
    """An app over twelve pictures that nobody was asked about, without a Label Studio."""
    for name in ("LABEL_STUDIO_URL", "EMOLAB_STUDIO_TOKEN", "LABEL_STUDIO_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    add_samples(workspace, 12)
    with app_server(workspace, tmp_path / "server") as made:
        yield made


def to_suggest(page: Any, server: AppServer, language: str = "en") -> None:
    page.locator("#nav a").first.wait_for()
    page.evaluate(f"localStorage.setItem('emolab-language', '{language}')")
    page.goto(f"{server.url}/app#/suggest")
    page.reload()
    page.locator("#main h1").wait_for()


def numbers(workspace: Workspace) -> list[int]:
    with workspace.catalog() as catalog, catalog.connect() as conn:
        return [made.n for made in rounds.list_all(conn)]


def test_a_round_is_proposed_by_keyboard_on_a_phone_and_what_lacks_is_said(
    server: AppServer,
    browser: Any,  # noqa: F811
) -> None:
    with on_screen(browser, server.link(), size=NARROW) as page:
        to_suggest(page, server)
        page.get_by_text("No model has been trained yet").wait_for()
        page.get_by_text("About 9 votes").wait_for(state="detached")
        page.locator("[name=many]").fill("3")
        page.get_by_text("About 9 votes; how long they take shows once answers are timed").wait_for()
        page.locator("[name=many]").press("Enter")
        page.get_by_role("button", name="Send 3 to the team").wait_for()
        page.get_by_text("Round 1: 3 faces chosen.").wait_for()
        page.locator(".proposed li").nth(2).wait_for()
        assert page.locator(".proposed li").count() == 3 and page.get_by_text("drawn at random").count() >= 3
        assert page.evaluate("document.documentElement.scrollWidth") == NARROW["width"]
        assert page.get_by_text('Label Studio is not running. Run "emolab studio up"').count() == 1
        page.get_by_role("button", name="Send 3 to the team").press("Enter")
        page.get_by_role("alert").get_by_text("Sending did not work.").wait_for()
        assert page.evaluate("document.activeElement.dataset.state") == "failed", "it is read out and on the screen"
        page.get_by_role("button", name="Send 3 to the team").wait_for()
        page.locator("summary").click()
        page.get_by_label("Strategy").select_option("margin")
        page.get_by_text("wavers between two classes").wait_for()
        page.get_by_role("button", name="Propose").click()
        page.get_by_role("alert").get_by_text('The strategy "margin" needs a model').wait_for()
        assert page.get_by_label("Strategy").input_value() == "margin"
    assert numbers(server.bench.workspace) == [3]


def test_readers_see_all_and_press_nothing(server: AppServer, browser: Any) -> None:  # noqa: F811
    workspace = server.bench.workspace
    emolab.suggest(workspace, n=4)
    link = emolab.add_serve_person(workspace, "rea", role="reader", url=server.url).link
    with on_screen(browser, link, dark=True) as page:
        to_suggest(page, server)
        page.locator(".proposed li").nth(3).wait_for()
        page.get_by_text("An owner of the project chooses and sends.").wait_for()
        assert page.locator("main button:visible, main input:visible").count() == 0


def test_a_page_that_is_behind_shows_what_waits_before_anything_is_sent(
    server: AppServer,
    browser: Any,  # noqa: F811
) -> None:
    workspace = server.bench.workspace
    emolab.suggest(workspace, n=2)
    with on_screen(browser, server.link()) as page:
        to_suggest(page, server)
        page.get_by_role("button", name="Send 2 to the team").wait_for()
        emolab.suggest(workspace, n=3)
        page.get_by_role("button", name="Send 2 to the team").click()
        page.get_by_text("Other faces wait now than before.").wait_for()
        page.get_by_role("button", name="Send 5 to the team").wait_for()
        page.locator(".proposed li").nth(4).wait_for()
        assert page.locator(".proposed li").count() == 5
        page.get_by_role("button", name="Take back: Round 1").click()
        page.get_by_text("Take round 1 back?").wait_for()
        page.get_by_role("button", name="Yes").click()
        page.get_by_role("button", name="Send 3 to the team").wait_for()
        page.get_by_text("Round 1 was taken back.").wait_for()
    assert numbers(workspace) == [2, 3]


def test_names_never_run_and_more_faces_come_as_wanted(server: AppServer, browser: Any) -> None:  # noqa: F811
    workspace = server.bench.workspace
    ids = [f"{i:04x}" + "0" * 60 for i in range(70)]
    with workspace.catalog() as catalog, catalog.begin() as tx:
        samples.add(tx, [Sample(id=each, media=f"media/{EVIL}.png", name=EVIL) for each in ids])
    ask_about(workspace, ids, by=EVIL)
    with workspace.catalog() as catalog, catalog.begin() as tx:
        odd = [Suggestion(sample_id=ids[0], score=0.0, reason=EVIL, strategy=EVIL, round=2, rank=0, kind="revote")]
        rounds.create(tx, odd, strategy=EVIL, model=None, seed=0, settings={"note": EVIL, "by": EVIL})
    with on_screen(browser, server.link()) as page:
        to_suggest(page, server, "fr")
        page.locator(".proposed li").nth(59).wait_for()
        page.locator(".more").click()
        page.locator(".proposed li").nth(70).wait_for()
        assert page.locator(".more").is_hidden()
        text = page.locator("main").inner_text()
        assert text.count(f"choisi par {EVIL}") >= 70 and page.locator(".proposed p[lang=en]").inner_text() == EVIL


def test_an_empty_workspace_says_what_to_type(workspace: Workspace, tmp_path: Path, browser: Any) -> None:  # noqa: F811
    with app_server(workspace, tmp_path / "server") as server, on_screen(browser, server.link()) as page:
        to_suggest(page, server)
        assert page.locator("pre").inner_text().startswith("emolab collect")
        add_samples(workspace, 2)
        page.locator("[name=propose]").wait_for()


def sentences() -> set[str]:
    """What every strategy says of a pool with all kinds of samples, and what is said of second opinions."""
    rng = np.random.default_rng(0)
    found: set[str] = set()
    for name in STRATEGIES.builtins:
        for change in (
            {},
            {"labelled": np.zeros(120, dtype=bool)},
            {"probs": np.eye(4, dtype=np.float32)[np.zeros(120, int)]},
        ):
            pool = make_pool(**change)
            assert pool.probs is not None and pool.embeddings is not None
            pool.probs[::7], pool.embeddings[::5] = np.nan, np.nan
            found |= set(select(pool, len(pool.candidates), strategy=name, rng=rng).reasons)
    for votes in ((0, 0, 0, 0), (1, 0, 0, 0), (2, 2, 1, 0), (3, 0, 0, 0), (2, 1, 0, 0)):
        for probs in (None, np.array([0.6, 0.2, 0.1, 0.1]), np.array([0.1, 0.2, 0.1, 0.6])):
            found.add(reason(np.array(votes, dtype=float), probs, CLASSES))
    return found | {"2 of 3 said sadness; ten people would agree with a chance of 0.31", "chosen by ann"}


@pytest.mark.parametrize("language", ["de", "es", "fr", "ru"])
def test_every_reason_is_told_in_the_language_of_the_pages(
    server: AppServer,
    browser: Any,  # noqa: F811
    language: str,
) -> None:
    said = sorted(sentences())
    assert len({each.split(" ")[0] for each in said}) > 8
    with on_screen(browser, server.link()) as page:
        to_suggest(page, server, language)
        told = page.evaluate(
            """async ([said, language]) => {
              const { knowReasons, reasonIn } = await import("/app/static/reasons.js");
              await knowReasons();
              const words = await (await fetch(`/app/static/words/look/${language}.json`)).json();
              return said.map((one) => reasonIn({ language, words }, one));
            }""",
            [said, language],
        )
    assert [one for one, found in zip(said, told, strict=True) if found["lang"] != language] == []
    assert not [found["text"] for found in told if " the model" in found["text"] or "{" in found["text"]]
