"""The wall of samples in a real browser: filters in the address, a sample in full, keys, and changes to many."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from emolab.catalog import samples
from emolab.catalog.storage import schema
from emolab.loop.label.aggregate import aggregate
from emolab.loop.look.wall import wall_choices
from emolab.loop.operate.privacy.consent import add_consent, end_consent
from emolab.records import Sample
from emolab.serving.workbench import shell
from emolab.workspace import Workspace
from tests.support.app_screen import NARROW, AppServer, app_server, on_screen
from tests.support.pictures import png
from tests.support.studio_screen import browser  # noqa: F401 (fixture)
from tests.support.voting import vote

pytestmark = pytest.mark.browser
EVIL = "<img src=x onerror=window.ran=1>"
CLASSES = ("happiness", "sadness", "neutral")
N = 90


def name(number: int) -> str:
    return f"{number:04x}" + "0" * 60


@pytest.fixture
def faces(tmp_path: Path) -> Workspace:
    """Ninety pictures, most of them voted on; names of classes, files, sources and people are scripts."""
    workspace = Workspace.init(tmp_path / "faces", classes=CLASSES)
    workspace.media.mkdir(parents=True, exist_ok=True)
    made = []
    for i in range(N):
        file = workspace.media / f"{i}.png"
        file.write_bytes(png(i))
        made.append(
            Sample(
                id=name(i), media=str(file.relative_to(workspace.root)), name=f"{EVIL}{i}.png", group=EVIL,
                source=EVIL if i % 3 else "camera", licence="</script><script>window.ran=1</script>",
            )
        )  # fmt: skip
    with workspace.catalog() as catalog, catalog.begin() as tx:
        samples.add(tx, made)
    said = {name(i): {"ann": CLASSES[i % 3], EVIL: CLASSES[i % 3 if i > 9 else 0]} for i in range(80)}
    vote(workspace, said)
    aggregate(workspace)
    with workspace.catalog() as catalog, catalog.begin() as tx:  # no class of a project may be called so
        tx.execute(update(schema.label_sets).values(classes=[CLASSES[0], EVIL, CLASSES[2]]))
    return workspace


@pytest.fixture
def server(faces: Workspace, tmp_path: Path) -> Iterator[AppServer]:
    with app_server(faces, tmp_path / "server") as made:
        yield made


def to_data(page: Any, server: AppServer, query: str = "") -> None:
    page.locator("#nav a").first.wait_for()
    page.goto(f"{server.url}/app#/data{query}")
    page.locator(".tile").first.wait_for()


def counted(page: Any, n: int) -> None:
    page.locator(".counted", has_text=f"{n} samples").wait_for()


def test_filters_stand_in_the_address_and_back_takes_them_away(server: AppServer, browser: Any) -> None:  # noqa: F811
    with on_screen(browser, server.link()) as page:
        to_data(page, server)
        counted(page, N)
        of_class = wall_choices(server.bench.workspace).classes[EVIL]
        assert of_class > 20
        page.get_by_label("Class").select_option(EVIL)
        counted(page, of_class)
        assert page.evaluate("decodeURIComponent(location.hash)").endswith("class=<img+src=x+onerror=window.ran=1>")
        assert page.locator(".tile").count() == of_class
        page.get_by_label("Source").select_option("camera")
        page.get_by_text("No sample fits these filters.").wait_for()
        page.go_back()
        counted(page, of_class)
        page.reload()
        counted(page, of_class)
        assert page.get_by_label("Class").input_value() == EVIL
        page.get_by_role("button", name="Clear filters").click()
        counted(page, N)


def test_a_long_search_says_how_far_it_came_and_another_filter_ends_it(server: AppServer, browser: Any) -> None:  # noqa: F811
    asked: list[str] = []

    def long(route: Any) -> None:
        asked.append(route.request.url)
        if len(asked) == 1:
            told = {"samples": [], "next": "@1", "notes": {}, "said": {}, "looked": 30, "lacking": None, "hint": None}
            route.fulfill(json=told)  # the second stays without an answer

    with on_screen(browser, server.link()) as page:
        to_data(page, server)
        counted(page, N)
        page.route("**/app/api/data/wall?*answered=0*", long)
        page.locator("select[name='answered']").select_option("0")
        page.locator(".counted", has_text=f"Looked through 30 of {N} samples").wait_for()
        assert page.locator(".tile").count() == 0
        page.locator("select[name='answered']").select_option("1")
        counted(page, 80)
        assert len(asked) == 2
        page.locator("select[name='answered']").select_option("")
        counted(page, N)


def test_the_wall_goes_on_as_one_scrolls_and_shows_pictures(server: AppServer, browser: Any) -> None:  # noqa: F811
    with on_screen(browser, server.link(), size=NARROW) as page:
        to_data(page, server)
        page.mouse.wheel(0, 50_000)
        page.wait_for_function("n => document.querySelectorAll('.tile').length === n", arg=N)
        page.wait_for_function("() => [...document.images].filter(i => i.complete && i.naturalWidth === 48).length > 8")
        assert page.evaluate("document.documentElement.scrollWidth") == NARROW["width"]
        assert page.locator(".choosing[open]").count() == 0, "filters fold away where there is little room"


def test_a_sample_is_shown_in_full_and_keys_lead_through_the_wall(
    server: AppServer,
    browser: Any,  # noqa: F811
) -> None:
    with on_screen(browser, server.link()) as page:
        to_data(page, server, "?order=disagreement")
        page.locator(".tile").first.focus()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
        page.locator(".side table").wait_for()
        first = page.locator(".side h2").inner_text()
        assert EVIL in first and EVIL in page.locator(".side .votes").inner_text()
        assert page.locator(".side .votes li").count() == 2
        page.keyboard.press("ArrowRight")
        page.wait_for_function("before => document.querySelector('.side h2').textContent !== before", arg=first)
        page.keyboard.press("Escape")
        page.locator(".side").wait_for(state="hidden")
        assert page.evaluate("document.activeElement.classList.contains('tile')")
        assert page.evaluate("[...document.querySelectorAll('.tile')].indexOf(document.activeElement)") == 2


def test_chosen_ones_are_asked_about_put_into_a_split_and_taken_out(
    server: AppServer,
    browser: Any,  # noqa: F811
) -> None:
    with on_screen(browser, server.link()) as page:
        to_data(page, server)
        page.locator(".tile").first.focus()
        page.keyboard.press("x")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("x")
        page.get_by_text("2 selected").wait_for()
        page.get_by_role("button", name="Ask the team").click()
        page.get_by_text("Round 1: 2 new and 0 once more, waiting to be sent.").wait_for()
        page.get_by_role("link", name="Look at them and send").click()
        page.get_by_role("button", name="Send 2 to the team").wait_for()
        page.locator(".proposed li").nth(1).wait_for()
        assert page.locator(".proposed li").count() == 2
        page.go_back()
        page.locator(".tiles input").nth(3).check()
        page.locator(".chosen select").select_option("test")
        page.get_by_text("Put 1 samples into test?").wait_for()
        page.get_by_role("button", name="No").click()
        page.get_by_text("1 selected").wait_for()
        page.locator(".chosen select").select_option("test")
        page.get_by_role("button", name="Yes").click()
        page.get_by_text("1 samples moved to test.").wait_for()
        page.locator(".tiles input").nth(0).check()
        page.get_by_role("button", name="Take out").click()
        page.get_by_role("button", name="Yes").click()
        page.get_by_text("1 samples taken out").wait_for()
        counted(page, N - 1)
        page.get_by_label("Round").select_option("1")
        counted(page, 1)
    files = sorted(server.bench.workspace.state.rglob("*app*.jsonl"))
    done = [json.loads(line)["did"] for file in files for line in file.read_text().splitlines()]
    assert done == ["ask", "split", "exclude"]


def test_a_reader_can_choose_nothing_and_an_empty_workspace_says_what_to_type(
    faces: Workspace,
    tmp_path: Path,
    browser: Any,  # noqa: F811
) -> None:
    import emolab

    with app_server(faces, tmp_path / "a") as server:
        link = emolab.add_serve_person(faces, "rea", role="reader", url=server.url).link
        with on_screen(browser, link) as page:
            page.goto(f"{server.url}/app#/data")
            page.locator(".tile").first.wait_for()
            assert page.locator(".tiles input").count() == 0
            page.locator(".tile").first.press("x")
            assert page.locator(".chosen").is_hidden()
    empty = Workspace.init(tmp_path / "empty", classes=CLASSES)
    with app_server(empty, tmp_path / "b") as server, on_screen(browser, server.link()) as page:
        page.locator("#nav a").first.wait_for()
        page.goto(f"{server.url}/app#/data")
        page.get_by_text("emolab collect PATH").wait_for()


def test_the_wall_says_how_many_samples_it_does_not_show(server: AppServer, browser: Any, tmp_path: Path) -> None:  # noqa: F811
    ids = [name(i) for i in (3, 4, 5)]
    add_consent(server.bench.workspace, ids=ids, text="yes")
    with on_screen(browser, server.link()) as page:
        to_data(page, server)
        assert page.locator(".unshown").count() == 0
    end_consent(server.bench.workspace, ids=ids)
    with on_screen(browser, server.link()) as page:
        to_data(page, server)
        counted(page, N - 3)
        assert page.locator(".unshown").inner_text().startswith("3 samples are not shown")
        page.screenshot(path=tmp_path / "wall.png")


def test_the_texts_of_the_pages_that_look_are_there_in_every_language() -> None:
    files = {code: shell.parts()[f"words/look/{code}.json"] for code in ("en", "de", "es", "fr", "ru")}
    texts = {code: flat(json.loads(found)) for code, found in files.items()}
    nouns = json.loads(shell.parts()["words/nouns.json"])
    assert len({frozenset(found) for found in texts.values()}) == 1
    for key in texts["en"]:
        values = {code: found[key] for code, found in texts.items()}
        marks = {
            frozenset(part.partition("}")[0] for part in text.split("{")[1:]) - set(nouns[code])
            for code, text in values.items()
        }
        assert len(marks) == 1 and all(values.values()), (key, values)


def flat(words: dict[str, Any], before: str = "") -> dict[str, str]:
    """Every text by the names that lead to it."""
    found: dict[str, str] = {}
    for key, value in words.items():
        found |= flat(value, f"{before}{key}.") if isinstance(value, dict) else {before + key: value}
    return found
