"""The form and the instructions in the annotators' language: what people read changes, what is stored does not."""

from __future__ import annotations

import io
import re
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import pytest
from PIL import Image

from emolab.config import load
from emolab.errors import ConfigError, DataError, EmolabError
from emolab.labeling.form import controls, instructions, team_questions, translations
from emolab.labeling.label_studio.client import connect
from emolab.labeling.server import installation
from emolab.labeling.server.embedded import EmbeddedServer
from emolab.labeling.sync.project_form import examples_of, instruction_of, words_of
from emolab.labeling.sync.pull import pull
from emolab.labeling.sync.push import push
from emolab.ranges import WORDS
from emolab.taxonomy import PRESETS
from emolab.workspace import Workspace
from tests.support.studio_screen import SIZE, chromium
from tests.support.syncing import add_samples, ledger, task_of

CLASSES = PRESETS["ferplus8"]


def told(workspace: Workspace, **labeling: object) -> Workspace:
    config = workspace.config
    return Workspace(workspace.root, replace(config, labeling=replace(config.labeling, **labeling)))  # type: ignore[arg-type]


def shown(text: str, name: str = "emotion") -> list[tuple[str | None, str]]:
    """What stands on the buttons of a form, and what is stored for each."""
    return [
        (choice.get("value"), controls.stored(choice))
        for choices in Xml.fromstring(text).iter("Choices")
        if choices.get("name") == name
        for choice in choices
    ]


@pytest.mark.parametrize("language", list(translations.WORDS))
def test_every_language_has_all_its_words_and_stores_the_same(language: str) -> None:
    words = translations.words(language)
    assert len({words.name(label) for label in (*CLASSES, *translations.META_STORED)}) == len(CLASSES) + 2
    assert language == "en" or set(CLASSES) | set(translations.META_STORED) == words.names.keys()
    text = controls.render(CLASSES, second=True, confidence=True, words=words)
    plain = controls.render(CLASSES, second=True, confidence=True)
    assert controls.labels(text) == controls.labels(plain) == [*CLASSES, "unknown", "no face"]
    assert [stored for _, stored in shown(text, "second")] == list(CLASSES)
    assert [value for value, _ in shown(text)] == [words.name(label) for label in (*CLASSES, "unknown", "no_face")]
    assert "{" not in instructions.render(CLASSES, words)


@pytest.mark.parametrize("language", [name for name in translations.WORDS if name != "en"])
@pytest.mark.parametrize("theirs", ["", '<TextArea name="why" toName="image"/>'])
def test_another_language_takes_the_place_of_the_one_before(language: str, theirs: str) -> None:
    english = controls.render(CLASSES, second=True, confidence=True)
    present = english.replace("<Header", f"{theirs}<Header", 1)
    wanted = controls.render(CLASSES, second=True, confidence=True, words=translations.words(language))
    made = team_questions.merge(present, wanted)
    assert controls.labels(made) == controls.labels(english)
    headings = [e.get("value") for e in Xml.fromstring(made).iter("Header")]
    assert headings == [e.get("value") for e in Xml.fromstring(wanted).iter("Header")]
    assert ("why" in made) == bool(theirs)
    assert controls.same(team_questions.merge(made, english), present)


@pytest.mark.parametrize(
    ("names", "button"),
    [
        ((), "Freude"),
        (("happiness=Glück",), "Glück"),
        (("happiness = Glück & Co. ",), "Glück & Co."),
        (("happiness=<b>",), "<b>"),
        (("happiness=高兴",), "高兴"),
        (("happiness=a=b",), "a=b"),
    ],
)
def test_a_team_may_use_its_own_words(workspace: Workspace, names: tuple[str, ...], button: str) -> None:
    words = words_of(told(workspace, language="de", names=names).config)
    text = controls.render(workspace.config.project.classes, words=words)
    assert shown(text)[0] == (button, "happiness")
    assert "<b><b></b>" not in instructions.render(workspace.config.project.classes, words)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"names": ("happiness",)}, "expected CLASS=TEXT"),
        ({"names": ("happiness=",)}, "expected CLASS=TEXT"),
        ({"names": ("happiness=same", "sadness=same")}, 'Two buttons of the form would be called "same"'),
        ({"names": ("happiness=unknown",)}, 'Two buttons of the form would be called "unknown"'),
        ({"names": ("joyful=Freude",)}, 'labeling.names has "joyful", which is no class'),
    ],
)
def test_words_that_do_not_fit_are_refused(workspace: Workspace, settings: dict[str, object], reason: str) -> None:
    with pytest.raises(EmolabError, match=re.escape(reason)):
        words_of(told(workspace, **settings).config)


def test_the_settings_are_read_from_the_file(workspace: Workspace) -> None:
    file = workspace.root / "emolab.toml"
    file.write_text(f'{file.read_text()}\n[labeling]\nlanguage = "fr"\nnames = ["sadness=chagrin"]\n')
    words = words_of(load(file))
    assert (words.name("sadness"), words.name("happiness"), words.name("calm")) == ("chagrin", "joie", "calm")
    file.write_text(file.read_text().replace('"fr"', '"xx"'))
    with pytest.raises(ConfigError, match=r'labeling.language is "xx"; expected one of en, de'):
        load(file)


def test_the_languages_of_the_settings_are_those_that_have_words() -> None:
    assert WORDS["labeling.language"] == tuple(translations.WORDS)


# --- instructions ----------------------------------------------------------------------------------------------------


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    """A folder of example pictures: two of one class (one large, turned by EXIF), one of another, a hidden file."""
    folder = tmp_path / "examples"
    for name, size in (("Happy/1.png", (300, 200)), ("Happy/2.jpg", (64, 64)), ("sadness/1.webp", (48, 48))):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.linear_gradient("L").resize(size).convert("RGB").save(folder / name)
    (folder / ".DS_Store").write_bytes(b"x")
    (folder / "Happy" / ".hidden").write_bytes(b"x")
    return folder


def test_examples_are_small_pictures_in_the_order_of_the_classes(workspace: Workspace, examples: Path) -> None:
    made = told(workspace, examples=str(examples), language="de", instructions="Hallo <Team>\n& Co.\n\n2")
    pictures = examples_of(made)
    assert {name: len(each) for name, each in pictures.items()} == {"happiness": 2, "sadness": 1}
    assert all(len(data) < 4_000 for each in pictures.values() for data in each)
    with Image.open(io.BytesIO(pictures["happiness"][0])) as first:
        assert first.size == (96, 64)
    text = instruction_of(made.config, {"happiness": ["/data/a.jpg", "/data/b&.jpg"], "sadness": ["/data/c.jpg"]})
    assert text.index("Freude</b><br><img") < text.index("Trauer</b><br><img")
    assert text.count("<img ") == 3 and 'src="/data/b&amp;.jpg"' in text
    assert "<p>Hallo &lt;Team&gt;<br>&amp; Co.</p><p>2</p>" in text
    assert instructions.is_emolabs(text) and not instructions.is_emolabs(text.replace("Hallo", "Moin"))
    assert instructions.is_emolabs(" ") and not instructions.is_emolabs("<p>Our own text</p>")


@pytest.mark.parametrize(
    ("given", "error", "reason"),
    [
        ({}, ConfigError, "There is no folder"),
        ({".": None}, ConfigError, "holds no pictures"),
        ({"happiness": None}, ConfigError, "holds no pictures"),
        ({"bored": None}, ConfigError, 'the folder of no class.*"bored"'),
        ({"happiness/a.jpg": "x"}, DataError, "a.jpg cannot be shown as an example"),
    ],
)
def test_examples_that_do_not_fit_are_named(
    workspace: Workspace, tmp_path: Path, given: dict[str, str | None], error: type[EmolabError], reason: str
) -> None:
    for name, content in given.items():
        path = tmp_path / "given" / name
        (path if content is None else path.parent).mkdir(parents=True, exist_ok=True)
        if content is not None:
            path.write_text(content)
    with pytest.raises(error, match=reason):
        examples_of(told(workspace, examples=str(tmp_path / "given")))


# --- in a browser ----------------------------------------------------------------------------------------------------


@pytest.fixture
def page() -> Iterator[Any]:
    with chromium() as browser:
        yield browser.new_context(viewport=SIZE).new_page()


@pytest.mark.labelstudio
@pytest.mark.browser
def test_people_read_their_language_and_the_ledger_holds_the_names_of_the_classes(
    workspace: Workspace, examples: Path, embedded: EmbeddedServer, page: Any
) -> None:
    url = embedded.start().server.url
    password = embedded.reset_password()
    title = f"Gesichter {uuid.uuid4().hex[:8]}"
    german = told(
        workspace, project=title, language="de", names=("neutral=ruhig",), examples=str(examples), instructions="Danke!"
    )
    add_samples(workspace, 3)
    with connect(url, embedded.token()) as studio:
        report = push(german, studio, overlap=1)
        page.goto(url)
        page.fill("input[name=email]", installation.ADMIN)
        page.fill("input[name=password]", password)
        page.click("button[type=submit]")
        page.wait_for_url(f"{url}/")

        def queue() -> Any:
            page.goto(f"{report.url}/data")
            page.get_by_role("button", name=re.compile("Label All Tasks")).first.click()
            window = page.locator(".lsf-modal-ls", has_text="Labeling Instructions")
            window.wait_for()
            return window

        window = queue()
        assert "Danke!" in window.inner_text() and "Beispiele" in window.inner_text()
        page.wait_for_function("() => document.querySelectorAll('.lsf-modal-ls img').length == 3")
        page.wait_for_function(
            "() => [...document.querySelectorAll('.lsf-modal-ls img')].every(i => i.naturalWidth > 40)"
        )
        page.keyboard.press("Escape")
        window.wait_for(state="detached")
        page.get_by_text("Welchen Ausdruck sehen Sie?", exact=True).wait_for()

        def button(text: str) -> Any:
            return page.locator(".lsf-choice__checkbox", has_text=text)

        def counts(text: str) -> None:
            page.locator(".lsf-current-task__task-count", has_text=re.compile(f"^{text}$")).wait_for()

        counts("1 of 3")
        for text in ("Freude", "Trauer", "ruhig", "unklar", "kein Gesicht"):
            assert button(text).is_visible(), text
        page.keyboard.press("2")
        page.keyboard.press("Control+Enter")
        _answered(studio, report.number, 1)
        counts("2 of 3")
        button("kein Gesicht").click()
        page.keyboard.press("Control+Enter")
        _answered(studio, report.number, 2)
        pull(german, studio)
        assert sorted(str(vote.label) for vote in ledger(german)) == ["no_face", "sadness"]

        french = told(german, language="fr", names=(), instructions="Merci!")
        add_samples(workspace, 1, first=20)
        again = push(french, studio)
        assert (again.labels_added, again.labels_removed, again.labels_kept) == ((), (), ())
        window = queue()
        assert "Merci!" in window.inner_text() and "Danke!" not in window.inner_text()
        page.keyboard.press("Escape")
        window.wait_for(state="detached")
        counts("3 of 4")
        button("tristesse").click()
        page.keyboard.press("Control+Enter")
        _answered(studio, report.number, 3)
        pull(french, studio)
        assert sorted(str(vote.label) for vote in ledger(french)) == ["no_face", "sadness", "sadness"]

        (shown_to,) = add_samples(workspace, 1, first=25)
        push(told(french, blind=0.0), studio, show_predictions=True, guesses={shown_to: "happiness"})
        page.goto(f"{report.url}/data?task={task_of(studio, report.number, shown_to)}")
        button("joie").wait_for()
        marked = "() => [...document.querySelectorAll('.lsf-choices input')].filter(i => i.checked).length == 1"
        page.wait_for_function(marked)
        assert button("joie").locator("input").is_checked()
        page.keyboard.press("Control+Enter")
        _answered(studio, report.number, 4)
        pull(french, studio)
        (last,) = (vote for vote in ledger(french) if vote.sample_id == shown_to)
        assert (last.label, last.shown, last.rejected) == ("happiness", "happiness", None)

        studio.update_project(report.number, expert_instruction="<p>Our own text.</p>")
        add_samples(workspace, 1, first=30)
        push(told(french, instructions="Encore"), studio)
        assert studio.project(report.number).instruction == "<p>Our own text.</p>"


def _answered(studio: Any, project: int, n: int) -> None:
    import time

    end = time.monotonic() + 60
    while studio.project(project).annotation_number < n:
        assert time.monotonic() < end, "the answer did not arrive"
        time.sleep(0.2)
