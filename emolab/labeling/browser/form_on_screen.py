"""A task's form as an annotator sees it: opened in a headless Chromium, and which answers are marked on it.

1. The browser gets no password and no session. Each of its requests to Label Studio is carried out with the token that
   emolab has; a request to any other server is refused, also where Label Studio redirects to one.
2. The page of "Label All Tasks" asks for the next task. It is handed the wanted one, as after "Label 1 Task" on a
   chosen row of the Data Manager; so the server prepares the form as it does for annotators.
3. What is marked is read from the buttons on the page. Nothing is pressed, so no draft and no answer is made.

Label Studio keeps a task for whoever opens it, an hour in the embedded server, as for anybody who looks at it.
"""

from __future__ import annotations

import json
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from emolab.errors import ServerError
from emolab.labeling.form import controls

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emolab.labeling.label_studio.client import Studio

#: Names under which Chromium is installed.
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
#: Seconds that one page may take, on a machine that does other work.
PATIENCE = 60.0
_QUIET = (
    "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-quic", "--no-first-run",
)  # fmt: skip
# ``Htx`` and the names that begin with ``lsf-`` are Label Studio's (releases 1.20 to 1.23).
_READY = """() => {
  const h = window.Htx;
  if (!h || h.isLoading) return null;
  if (h.noTask) return {task: null};
  const a = h.annotationStore && h.annotationStore.selected;
  if (!a || !h.task || a.history.isFrozen || !document.querySelector('.lsf-choice__checkbox')) return null;
  return {task: h.task.id};
}"""
# The boxes of a group are called by what stands on its buttons; emolab's own question has all of ``words``.
_MARKED = """words => [...document.querySelectorAll('.lsf-choices')]
  .filter(group => words.every(word => [...group.querySelectorAll('input')].some(box => box.name === word)))
  .flatMap(group => [...group.querySelectorAll('input')]).filter(box => box.checked).map(box => box.name)"""


class NoBrowser(ServerError):
    """There is no browser to look with; the hint says what to install."""


class FormScreen:
    """A browser window on one server, which sees it as the user of ``studio`` does."""

    def __init__(self, studio: Studio, browser: Any) -> None:
        self._studio, self._wanted, self._header = studio, 0, ""
        context = browser.new_context(viewport={"width": 1200, "height": 800}, service_workers="block")
        context.route("**/*", self._carry)
        self._page = context.new_page()
        self._page.set_default_timeout(PATIENCE * 1000)

    def marked(self, project: int, task: int) -> list[str]:
        """The answers of emolab's question that are marked when ``task`` is opened, as Label Studio stores them.

        Raises :class:`ServerError` where the page does not show the task's form.
        """
        from playwright.sync_api import Error

        self._wanted, self._header = task, self._studio.http.authorization()
        try:
            self._page.goto(f"{self._studio.url}/projects/{project}/data?labeling=1")
            if "/user/login" in self._page.url:
                raise ServerError(
                    f"{self._studio.url} asks the browser to log in: this token opens no pages.",
                    hint="Use a personal access token (three parts joined by dots) of release 1.20 or newer.",
                )
            state = self._page.wait_for_function(_READY, polling=100).json_value()
            buttons = controls.buttons(self._studio.project(project).label_config)
            found = self._page.evaluate(_MARKED, list(buttons))
        except Error as error:
            raise ServerError(
                f"The page of task {task} did not show its form: {str(error).splitlines()[0][:160]}",
                hint=f"Open {self._studio.url}/projects/{project}/data in a browser and press Label All Tasks.",
            ) from None
        if state["task"] != task:
            raise ServerError(f"The page showed task {state['task']} where task {task} was asked for.")
        return [buttons[str(name)] for name in found]

    def _carry(self, route: Any) -> None:
        """Carry one request of the page out with the token; none to another server."""
        request = route.request
        if not request.url.startswith(f"{self._studio.url}/"):
            route.abort()
            return
        body = request.post_data_buffer
        if "id=next_task" in request.url:
            body = json.dumps({"selectedItems": {"all": False, "included": [self._wanted]}}).encode()
        headers = {**request.headers, "authorization": self._header}
        answer = route.fetch(headers=headers, post_data=body, max_redirects=0, timeout=PATIENCE * 1000)
        route.fulfill(response=answer)


@contextmanager
def screen(studio: Studio) -> Iterator[FormScreen]:
    """A browser to look with. Raises :class:`NoBrowser` where there is none."""
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        raise NoBrowser(
            "The package playwright is not installed.", hint='Install it: pip install "emolab[browser]"'
        ) from None
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    with sync_playwright() as driver:
        try:
            # the superuser's Chromium starts without its sandbox only; nobody else's goes without
            sandbox = os.geteuid() != 0
            browser = driver.chromium.launch(executable_path=program, args=list(_QUIET), chromium_sandbox=sandbox)
        except Error as error:
            if program is not None:
                raise ServerError(f"{program} does not start: {str(error).splitlines()[0][:160]}") from None
            raise NoBrowser(
                "There is no Chromium on this machine.",
                hint='Install it: "sudo apt install chromium", or "playwright install --with-deps chromium"',
            ) from None
        try:
            yield FormScreen(studio, browser)
        finally:
            browser.close()
