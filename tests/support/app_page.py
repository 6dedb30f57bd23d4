"""A person at the voting page of ``emolab serve --app``, in a real Chromium, and what the server was told."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import emolab
from emolab.catalog.campaign import app_answers
from emolab.catalog.nicknames import by_pseudonym
from emolab.workspace import Workspace
from tests.support.serve_process import ServeProcess, serving
from tests.support.syncing import environment, ledger

PATIENCE = 60_000
_SHOWN = "(document.querySelector('.stage')?.dataset.shown ?? '')"


@contextmanager
def app_server(
    workspace: Workspace, url: str, token: str, *, port: int = 0, settings: Sequence[str] = ()
) -> Iterator[ServeProcess]:
    """``emolab serve --app`` over ``workspace``, whose Label Studio is at ``url``."""
    more = [word for setting in settings for word in ("--set", setting)]
    words = ("-w", workspace.root, "serve", "--app", "--port", str(port), *more)
    with serving(*words, env={**environment(url, token), "OMP_NUM_THREADS": "1"}) as made:
        yield made


@dataclass
class Voter:
    """One person in one tab; ``said`` is what was pressed, by sample, the last word for each."""

    page: Any
    name: str
    link: str
    said: dict[str, str | None] = field(default_factory=dict)
    heard: list[str] = field(default_factory=list)

    @classmethod
    def come(cls, context: Any, server: ServeProcess, workspace: Workspace, name: str, **more: Any) -> Voter:
        """Make a link for ``name`` and open it."""
        link = emolab.add_serve_person(workspace, name, url=server.url, **more).link
        return cls.at(context, name, link)

    @classmethod
    def at(cls, context: Any, name: str, link: str) -> Voter:
        made = cls(context.new_page(), name, link)
        made.page.on("console", lambda message: made.heard.append(message.text))
        made.page.on("pageerror", lambda error: made.heard.append(f"error: {error}"))
        made.page.on("dialog", lambda dialog: (made.heard.append("dialog"), dialog.dismiss()))
        made.page.goto(link)
        made.settle()
        return made

    def settle(self) -> None:
        """Wait for a face, or for what is said instead."""
        self.page.wait_for_selector(".stage[data-shown], .notice:not([hidden])", timeout=PATIENCE)

    @property
    def sample(self) -> str:
        """The sample on the screen."""
        return str(self.page.locator(".stage").get_attribute("data-sample"))

    def only_press(self, key: str) -> None:
        """Press a key, later than one that the page takes for the last key pressed twice."""
        self.page.wait_for_timeout(250)
        self.page.keyboard.press(key)

    def press(self, key: str, label: str | None) -> str:
        """Answer by one key; returns the sample once the next face, or the end, is on the screen."""
        return self._answered(label, lambda: self.page.keyboard.press(key))

    def tap(self, label: str) -> str:
        """Answer by one tap."""
        return self._answered(label, self.page.locator(f".answer[data-label='{label}']").click)

    def _answered(self, label: str | None, deed: Callable[[], None]) -> str:
        sample, before = self.sample, self.page.evaluate(_SHOWN)
        self.page.wait_for_timeout(250)  # a key that comes sooner is taken for one that was pressed twice
        deed()
        self.said[sample] = label
        self.page.wait_for_function(
            f"before => {_SHOWN} !== before || !document.querySelector('.notice').hidden", arg=before, timeout=PATIENCE
        )
        return sample

    def send(self, keys: str, label: str) -> str:
        """Mark several answers by their keys, and send them; ``label`` is the first of them in the form's order."""
        for key in keys:
            self.only_press(key)
        return self._answered(label, lambda: self.page.keyboard.press("Enter"))

    def undo(self) -> str:
        """Take the last answer back; the sample that is asked about again."""
        before = self.page.evaluate(_SHOWN)
        self.only_press("Backspace")
        self.page.wait_for_function(f"before => {_SHOWN} !== before", arg=before, timeout=PATIENCE)
        del self.said[self.sample]
        return self.sample

    def sent(self) -> None:
        """Wait until the server has confirmed everything."""
        self.page.wait_for_function(
            "() => !Object.keys(localStorage).some(key => key.startsWith('emolab-out/'))", timeout=PATIENCE
        )

    def text(self, selector: str) -> str:
        return str(self.page.locator(selector).first.inner_text())


def wait_until(done: Callable[[], bool], *, seconds: float = 90.0, what: str = "it") -> None:
    """Return as soon as ``done`` says so."""
    until = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < until, f"{what} did not happen within {seconds:g} s"
        time.sleep(0.2)


def waiting(workspace: Workspace) -> int:
    """How many answers Label Studio does not have."""
    with workspace.catalog() as catalog, catalog.connect() as conn:
        return app_answers.counts(conn).waiting


def votes_of(workspace: Workspace) -> dict[str, dict[str, str | None]]:
    """What counts, and the skips, by the names of the people and by sample. Fails where somebody counts twice."""
    with workspace.catalog() as catalog, catalog.connect() as conn:
        names = by_pseudonym(conn)
    found: dict[str, dict[str, str | None]] = {}
    for vote in ledger(workspace, rejected=True):
        of = found.setdefault(names.get(vote.annotator, vote.annotator), {})
        assert vote.sample_id not in of, f"{vote.annotator} twice about {vote.sample_id}"
        of[vote.sample_id] = vote.label
    return found


def arrive(workspace: Workspace, *voters: Voter) -> None:
    """Wait until the ledger says of these people exactly what they pressed."""
    expected = {voter.name: voter.said for voter in voters}
    for voter in voters:
        voter.sent()

    def there() -> bool:
        found = votes_of(workspace)
        return all(found.get(name, {}) == said for name, said in expected.items())

    try:
        wait_until(there)
    except AssertionError:
        raise AssertionError(f"pressed: {expected}\nledger: {votes_of(workspace)}") from None


def kill(pid: int) -> None:
    """End a process at once, as a power cut does."""
    os.kill(pid, 9)


def screenshot(voter: Voter, name: str) -> None:
    """Keep what is on the screen where ``EMOLAB_SCREENSHOTS`` names a folder."""
    if folder := os.environ.get("EMOLAB_SCREENSHOTS"):
        voter.page.screenshot(path=Path(folder) / f"{name}.png")
