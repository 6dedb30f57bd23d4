"""A person who answers in Label Studio's own page: keys and mouse, and every deed that the server confirmed."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from tests.support.studio_screen import MARKED, Press, Said, Screen, next_task, one_task, word_of


class Annotator(Screen):
    """One person in one browser tab; what the server confirms is added to ``journal``, booked to the picture shown."""

    #: What this person does before every submit and update.
    habit: Callable[[], None] | None = None
    #: The answer that the page keeps, behind a spinner, after a submit that the server did not get.
    _kept: str | None = None

    # Choosing

    def choose_by_key(self, label: str) -> None:
        """Press the key of a label; where it is marked already nothing is pressed, as the key would unmark it."""
        if self.said().label != label:
            self.press(self._hint(label))
        self._chosen(label)

    def choose_by_mouse(self, label: str) -> None:
        """Click on a label."""
        self._button(label).click()
        self._chosen(label)

    def unchoose_by_key(self) -> None:
        """Press the key of the label that is marked: Label Studio then marks nothing."""
        self.press(self._hint(self.marked()[0]))
        self._chosen(None)

    def undo(self, back_to: str | None, *, by: str = "button") -> None:
        """Take the last choice back."""
        self._again("Undo", "Control+z", back_to, by)

    def redo(self, to: str | None, *, by: str = "button") -> None:
        """Make the choice again that was taken back."""
        self._again("Redo", "Control+Shift+z", to, by)

    def guess_second(self, label: str) -> None:
        """Choose a second guess from its list."""
        self.page.locator(".emolab [data-testid=select-trigger]").first.click()
        self.page.get_by_role("option", name=label, exact=True).click()
        self.said().second = label

    def stars(self, n: int) -> None:
        """Say how sure: 1 to 3 stars."""
        self._until(
            self.page.locator(".ant-rate-star > div").nth(n - 1).click,
            self.page.locator(".ant-rate-star-full").nth(n - 1),
        )
        self.said().confidence = n

    def tick(self, control: str, value: str) -> None:
        """Answer a question of the team's own, one with choices."""
        if self.said().extra.get(control) == value:
            return  # a second click would take it back
        box = f".lsf-choices input[type=checkbox][name='{value}']"
        self._until(self.page.locator(box).click, self.page.locator(f"{box}:checked"))
        self.said().extra[control] = value

    def write(self, control: str, text: str) -> None:
        """Answer a question of the team's own, one with a text."""
        self.page.locator(".emolab textarea").first.click()
        self.page.keyboard.type(text)
        self.page.keyboard.press("Shift+Enter")
        self.page.get_by_text(text).first.wait_for()
        self.page.locator("h3, h4, h5").first.click()  # out of the text, so that keys mean answers again
        self.said().extra[control] = text

    def _until(self, click: Callable[[], object], shown: Any) -> None:
        """Click until the form shows what was clicked: while the form grows, a click may land beside its target."""
        from playwright.sync_api import TimeoutError as TooSlow

        deadline = time.monotonic() + 60
        while True:
            click()
            try:
                shown.wait_for(state="attached", timeout=15_000)
            except TooSlow:
                assert time.monotonic() < deadline, "no click is taken"
            else:
                return

    def _again(self, name: str, key: str, label: str | None, by: str) -> None:
        button = self.page.get_by_role("button", name=name, exact=True).first
        button.click() if by == "button" else self.press(key)
        self._chosen(label)

    def _chosen(self, label: str | None) -> None:
        self._when(f"want => ({MARKED})().join() === want", word_of(label))
        self.said().label = label

    def _button(self, label: str) -> Any:
        own = ".lsf-choices:has(:is(input[name='no face'], input[name='no voice']))"
        return self.page.locator(f"{own} label:has(input[name='{word_of(label)}'])")

    def _hint(self, label: str) -> str:
        return str(self._button(label).locator(".lsf-hint").inner_text()).strip("[]")

    # Deeds

    def submit(self, *, by: str = "keys", times: int = 1) -> int:
        """Submit a new answer with Ctrl+Enter or (``by="button"``) the mouse; returns the answer's number."""
        return self._save("POST", self._gesture("Submit", by, times))

    def update(self, *, by: str = "keys") -> int:
        """Save a change of an answer that was given earlier."""
        return self._save("PATCH", self._gesture("Update", by))

    def skip(self, *, by: str = "button") -> int:
        """Skip the task."""
        gesture = (lambda: self.press("Control+Space")) if by == "keys" else self._clicks("skip-task")
        return self._save("POST", gesture, action="skip")

    def cancel_skip(self) -> None:
        """Take a skip back: Label Studio deletes it and keeps its content as a draft."""
        self._drop(self._clicks("cancel-skip"))

    def delete(self) -> None:
        """Delete the answer on the screen, in the Data Manager's quick view."""

        def gesture() -> None:
            self.page.locator(".lsf-annotation-button_selected .lsf-annotation-button__trigger").click()
            self.page.get_by_text("Delete Annotation", exact=True).click()
            self.page.get_by_role("button", name="Delete", exact=True).click()

        self._drop(gesture)

    def new_answer(self) -> None:
        """Press "+" in the quick view: a second answer to the same task."""
        self._move(self._clicks("Create an annotation"))

    def duplicate(self) -> None:
        """Copy the answer on the screen into a new one of one's own, in the quick view."""
        before = self.state()
        self.page.locator(".lsf-annotation-button_selected .lsf-annotation-button__trigger").click()
        self.page.get_by_text("Duplicate Annotation", exact=True).click()
        self._said[self.sample or ""] = self._given(before["pk"])
        self._changed(before["key"], copied=True)

    def refused(self) -> str:
        """Try to submit, and return what the page says against it; submitting again is possible."""
        from playwright.sync_api import TimeoutError as TooSlow

        self._kept = self.state()["key"]
        self.press("Control+Enter")
        windows = self.page.locator(".ant-modal-confirm", has=self.page.get_by_role("button", name="OK"))
        text = str(windows.first.inner_text())
        deadline = time.monotonic() + 60
        while windows.count():  # a click on a window that is still opening may go astray
            assert time.monotonic() < deadline, f"the window stays: {text}"
            with suppress(TooSlow):  # it closes while we aim
                windows.last.get_by_role("button", name="OK").click(timeout=2000)
                windows.last.wait_for(state="detached", timeout=2000)
        return text

    def lose_the_reply(self) -> None:
        """Let the next answer reach the server, but not the server's reply the page."""

        def carry(route: Any) -> None:
            route.fetch()
            route.abort()
            self.page.unroute("**/annotations?*")

        self.page.route("**/annotations?*", carry)

    def _gesture(self, name: str, by: str, times: int = 1) -> Callable[[], object]:
        if by == "keys":
            return lambda: self.press(*["Control+Enter"] * times)
        return self.page.locator("button", has_text=re.compile(f"^{name}$")).first.click  # type: ignore[no-any-return]

    def _save(self, method: str, gesture: Callable[[], object], *, action: str = "answer") -> int:
        if self.habit is not None and action == "answer":
            self.habit()
        said, before, self._kept = self.said(), self._kept or self.state()["key"], None
        since = self._first_seen[self.sample or ""]
        self._moved = time.monotonic()
        with self.page.expect_response(_follows), self.page.expect_response(_saves(method)) as saved:
            gesture()
        answer = saved.value.json()
        assert saved.value.ok, answer
        self._book(answer["completed_by"], action, answer["id"], said, seconds=time.monotonic() - since)
        self._said.pop(self.sample or "", None)
        self._changed(before)
        return int(answer["id"])

    def _drop(self, gesture: Callable[[], object]) -> None:
        before, me = self.state(), int(self.page.evaluate("() => Htx.user.id"))
        self._moved = time.monotonic()
        with self.page.expect_response(_saves("DELETE")) as saved:
            gesture()
        assert saved.value.ok
        self._book(me, "delete", int(before["pk"]), Said())
        self._changed(before["key"])

    def _book(self, person: int, action: str, annotation: int, said: Said, *, seconds: float = 0.0) -> None:
        self.journal.append(
            Press(
                person=person, sample=self.sample or "", action=action, annotation=annotation, label=said.label,
                second=said.second, confidence=said.confidence, extra=tuple(sorted(said.extra.items())),
                shown=said.shown, seconds=seconds,
            )
        )  # fmt: skip


def _follows(response: Any) -> bool:
    return next_task(response) or one_task(response)


def _saves(method: str) -> Callable[[Any], bool]:
    return lambda response: response.request.method == method and "/annotations" in response.url
