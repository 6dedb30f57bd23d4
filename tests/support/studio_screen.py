"""Label Studio's own page in a real Chromium: where it is, what it shows, and how a person moves about in it.

The names that begin with ``lsf-`` and the page's store ``Htx`` are Label Studio's (release 1.23). Nothing here sleeps:
every gesture waits for the request that it causes and for the page to show what comes next.
"""

from __future__ import annotations

import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import pytest

from emolab.labeling.form import controls

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-quic", "--no-first-run",
)  # fmt: skip
PASSWORD = "a long enough password"
SIZE = {"width": 1200, "height": 800}
PATIENCE = 60_000  # milliseconds for one step of the page, on a machine that does other work

# What the page is at: the task, the answer on it (``key`` changes whenever another one is put on the screen).
STATE = """() => {
  const h = window.Htx;
  if (!h || h.isLoading || h.isSubmitting) return null;
  if (h.noTask) return {task: null, key: "none", pk: null, draft: 0};
  const a = h.annotationStore && h.annotationStore.selected;
  const image = document.querySelector('.lsf-image img'), clip = document.querySelector('audio');
  if (!a || !h.task || !(image ? image.complete && image.naturalWidth : clip && clip.readyState > 3)) return null;
  if (a.history.isFrozen || !document.querySelector('.lsf-choice__checkbox')) return null;
  return {task: h.task.id, key: a.id, pk: a.pk || null, draft: a.draftId || 0};
}"""
# The picture on the screen, by its content: that is emolab's name for it, whatever the server believes.
_PICTURE = """async () => {
  const shown = document.querySelector('.lsf-image img') ?? document.querySelector('audio');
  const bytes = await (await fetch(shown.src)).arrayBuffer();
  const digest = await crypto.subtle.digest('SHA-256', bytes);
  return [...new Uint8Array(digest)].map(x => x.toString(16).padStart(2, '0')).join('');
}"""
# Which answers of emolab's own question are marked: the group that holds its button for "no face".
MARKED = """() => [...document.querySelectorAll('.lsf-choices')]
  .filter(group => [...group.querySelectorAll('input')].some(box => ['no face', 'no voice'].includes(box.name)))
  .flatMap(group => [...group.querySelectorAll('input')]).filter(box => box.checked).map(box => box.name)"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One browser for all tests of a module; every person takes a context (a session with cookies) of their own."""
    with chromium() as made:
        yield made


@contextmanager
def chromium() -> Iterator[Any]:
    """A headless browser with a fresh profile; skips the test where there is none."""
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed (apt-get install chromium)")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        try:
            yield browser
        finally:
            browser.close()


@dataclass(frozen=True, kw_only=True)
class Press:
    """One deed that the server confirmed: ``action`` is ``answer``, ``skip`` or ``delete``.

    ``person`` is the user's number on the server, ``annotation`` the answer's; what was skipped may have had a
    ``label`` in the form; ``confidence`` is in stars, ``shown`` the guess that the form came with, ``seconds`` the
    time since the person first saw the picture.
    """

    person: int
    sample: str
    action: str
    annotation: int
    label: str | None = None
    second: str | None = None
    confidence: int | None = None
    extra: tuple[tuple[str, str], ...] = ()
    shown: str | None = None
    seconds: float = 0.0


@dataclass
class Said:
    """What stands in the form for one picture: pressed by the person, or marked by a shown guess."""

    label: str | None = None
    second: str | None = None
    confidence: int | None = None
    extra: dict[str, str] = field(default_factory=dict)
    shown: str | None = None


class Screen:
    """One person's browser tab.

    ``guess_of`` tells which guess the form should come with for a sample (``None``: none). What is shown is known by
    its content (``sample``) and by what was said before, which ``journal`` holds.
    """

    def __init__(
        self, context: Any, journal: list[Press], guess_of: Callable[[str], str | None] = lambda sample: None
    ) -> None:
        self.page = context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.journal, self.guess_of = journal, guess_of
        self.sample: str | None = None
        self.project = ""
        self.lost = False  # whether nobody knows what is on the screen
        self._said: dict[str, Said] = {}
        self._first_seen: dict[str, float] = {}
        self._moved = 0.0

    def front(self) -> Self:
        """Bring this tab to the front; a page in the back does not move."""
        self.page.bring_to_front()
        return self

    # Getting there

    def enter(self, invitation: str, *, email: str | None = None) -> None:
        """Follow an invitation: sign up in a fresh browser session, else go on to the project at once."""
        known = bool(self.page.context.cookies())
        self.page.goto(invitation)
        if not known:
            self.page.fill("input[name=email]", email or f"ann-{uuid.uuid4().hex[:8]}@team.example")
            self.page.fill("input[name=password]", PASSWORD)
            self.page.click("button[type=submit]")
        self.page.wait_for_url(re.compile(r"/projects/\d+/data"))
        self.project = self.page.url.split("/data")[0]

    def open_project(self) -> None:
        """Go to the project's Data Manager."""
        self.page.goto(f"{self.project}/data")
        self.page.locator(".lsf-table__row-wrapper").first.wait_for()
        self.sample = None

    def open_queue(self) -> None:
        """Press "Label All Tasks" in the Data Manager."""
        button = self.page.get_by_role("button", name=re.compile("Label All Tasks")).first
        self._moved = time.monotonic()
        self.front()
        with self.page.expect_response(next_task):
            button.click()
        self._arrive()
        self.close_instructions()

    def close_instructions(self) -> None:
        """Close the instructions, which come up whenever the queue is opened."""
        if self.sample is not None:
            window = self.page.locator(".lsf-modal-ls", has_text="Labeling Instructions")
            window.wait_for()
            self.press("Escape")
            window.wait_for(state="detached")

    def quick_view(self, sample: str, row: int) -> None:
        """Click the row of a sample in the Data Manager, which may show another one beside its table already."""
        if "labeling=1" in self.page.url:
            self.open_project()
        self._moved = time.monotonic()
        with self.page.expect_response(one_task):
            self.page.locator(".lsf-table__row-wrapper").nth(row).locator(".lsf-table__cell").nth(1).click()
        self._when(f"task => {{ const s = ({STATE})(); return s && location.search.includes('task=' + s.task); }}")
        self._arrive()
        assert self.sample == sample, "the row of one sample opened another"

    def reload(self) -> None:
        """Reload the page in the middle of an answer; only what was saved as a draft is still in the form."""
        self._moved = time.monotonic()
        self.page.reload()
        self._arrive()
        if "labeling=1" in self.page.url:
            self.close_instructions()

    # What the form shows

    def state(self) -> dict[str, Any]:
        """What the page is at, once it has come to rest."""
        return dict(self._when(STATE).json_value())

    def marked(self) -> list[str]:
        """The answers of emolab's question that are marked in the form."""
        return [label_of(name) for name in self.page.evaluate(MARKED)]

    def said(self) -> Said:
        """What the form of the picture on the screen should hold."""
        assert self.sample is not None, "no task is open"
        return self._said[self.sample]

    def _arrive(self, *, copied: bool = False) -> None:
        """Look at what is on the screen now: what was neither submitted nor saved as a draft is gone from the form.

        A ``copied`` answer begins with what stood in the form before.
        """
        state = self.state()
        if state["task"] is None:
            self.sample = None
            return
        self.sample = sample = str(self.page.evaluate(_PICTURE))
        self._first_seen.setdefault(sample, self._moved)
        if not (copied or state["draft"]) or sample not in self._said:
            guess = self.guess_of(sample)
            self._said[sample] = self._given(state["pk"]) if state["pk"] else Said(label=guess, shown=guess)
        self._shows(self.said().label)

    def _shows(self, want: str | None) -> None:
        """Wait for the form to mark one answer alone: the page marks a guess a moment after it shows the buttons."""
        from playwright.sync_api import TimeoutError as TooSlow

        words = [] if want is None else [word_of(want)]
        try:
            self._when(f"want => JSON.stringify(({MARKED})()) === JSON.stringify(want)", words)
        except TooSlow as error:
            raise AssertionError(f"the form should mark {words} and marks {self.marked()}") from error

    def _given(self, answer: str) -> Said:
        """What an answer said that was submitted before, perhaps by somebody else."""
        press = next(press for press in reversed(self.journal) if str(press.annotation) == answer)
        return Said(press.label, press.second, press.confidence, dict(press.extra), press.shown)

    # Moving on

    def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        for key in keys:
            self.page.keyboard.press(key)

    def look_at(self, answer: int) -> None:
        """Choose one of the answers to a task, perhaps somebody else's, from its tabs in the quick view."""
        if self.state()["pk"] != str(answer):
            index = self.page.evaluate(
                "pk => [...Htx.annotationStore.annotations].findIndex(a => a.pk === pk)", str(answer)
            )
            self._move(self.page.locator(".lsf-annotation-button").nth(index).click)

    def previous(self) -> None:
        """Go back to the task before."""
        self._move(self._clicks("Previous task"))

    def next(self) -> None:
        """Go on without an answer: forward in what was seen, or "Postpone task" at its end."""
        self._move(self.page.get_by_role("button", name=re.compile("Next task|Postpone task")).first.click)

    def wait_for_draft(self) -> None:
        """Wait until the page has saved the unfinished answer by itself (some five seconds after the last press)."""
        if not self.state()["draft"]:
            self._when(f"() => (({STATE})() || {{}}).draft > 0")

    def _clicks(self, name: str) -> Callable[[], object]:
        return self.page.get_by_role("button", name=name, exact=True).first.click  # type: ignore[no-any-return]

    def _move(self, gesture: Callable[[], object]) -> None:
        self._moved = time.monotonic()
        before = self.state()["key"]
        gesture()
        self._changed(before)

    def _when(self, script: str, argument: object = None) -> Any:
        """Wait until a script returns something true; asking at every frame would cost more than the page itself."""
        return self.page.wait_for_function(script, arg=argument, polling=100)

    def _changed(self, before: str, *, copied: bool = False) -> None:
        self._when(f"before => {{ const s = ({STATE})(); return s && s.key !== before; }}", before)
        self._arrive(copied=copied)


def label_of(word: str) -> str:
    """The label behind the word on a button."""
    return next((label for label, shown in controls.META_BUTTONS.items() if shown == word), word)


def word_of(label: str | None) -> str:
    """The word on a label's button; empty for none."""
    return "" if label is None else controls.META_BUTTONS.get(label, label)


def next_task(response: Any) -> bool:
    """Whether the page was handed the next task of the queue, or the news that there is none."""
    return "id=next_task" in response.url


def one_task(response: Any) -> bool:
    """Whether the page was handed one particular task."""
    return response.request.method == "GET" and re.search(r"/api/tasks/\d+\?", response.url) is not None
