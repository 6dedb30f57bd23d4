"""What a vote costs a person: from the key to the next picture, key presses, requests and bytes, on two lines.

A scripted annotator in a real Chromium answers faces on the page of `emolab serve --app` and on Label Studio's own
page, over the same project, in turns. Each looks at a face for a while before the key. The slow line is Chromium's
throttling: 1.6 Mbit/s down, 0.75 Mbit/s up, 150 ms more for each request. A picture counts as shown once it is painted.
"""

from __future__ import annotations

import io
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import emolab
from benchmarks.harness import Result, main, summary
from emolab.demonstration.drawn_faces import draw_faces
from emolab.labeling.label_studio.accounts import create_annotator
from emolab.labeling.label_studio.client import connect
from emolab.labeling.server.daemon import free_port
from emolab.labeling.server.embedded import EmbeddedServer
from emolab.workspace import Workspace

CLASSES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
#: Pixels of a face, seconds that a face is looked at, answers before any is counted.
SIDE, LOOK, WARM_UP = 384, 0.7, 2
#: Bytes a second down and up, and milliseconds more for each request; nothing: as fast as it goes.
LINES: dict[str, tuple[float, float, float] | None] = {"loopback": None, "slow line": (200_000, 93_750, 150)}
MUST, AIM = 0.3, 0.1
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
)
#: Counts from a key that is caught first of all until ``done`` says that another picture is on the screen.
CLOCK = """([submits, now]) => {
  const shown = new Function('return (' + now + ')()');
  const before = shown();
  window.took = new Promise(told => addEventListener('keydown', function heard(event) {
    if (event.key !== submits) return;
    removeEventListener('keydown', heard, true);
    const began = performance.now();
    const look = setInterval(() => {
      const next = shown();
      if (next === null || next === before) return;
      clearInterval(look);
      requestAnimationFrame(() => requestAnimationFrame(() => told((performance.now() - began) / 1000)));  // painted
    }, 5);
  }, true));
}"""
OURS = "() => { const s = document.querySelector('.stage'); return s && s.dataset.shown || null; }"
THEIRS = """() => {
  const h = window.Htx, image = document.querySelector('.lsf-image img');
  if (!h || h.isLoading || h.isSubmitting || !h.task || !image || !image.complete || !image.naturalWidth) return null;
  const a = h.annotationStore && h.annotationStore.selected;
  return a && !a.history.isFrozen && document.querySelector('.lsf-choice__checkbox') ? a.id : null;
}"""
MARKED = "() => [...document.querySelectorAll('.lsf-choices input')].some(box => box.checked)"


@dataclass
class Page:
    """One person's page, and what went over the line since the last :meth:`reset`."""

    page: Any
    shown: str
    submits: str
    presses: int
    requests: int = 0
    size: int = 0
    seconds: list[float] = field(default_factory=list)

    def watch(self) -> Any:
        """Count what goes over the line; the session by which the line is made slow."""
        session = self.page.context.new_cdp_session(self.page)
        session.send("Network.enable")
        session.on("Network.requestWillBeSent", self._asked)
        session.on("Network.loadingFinished", lambda event: self._arrived(event["encodedDataLength"]))
        return session

    def _asked(self, event: dict[str, Any]) -> None:
        if event["request"]["url"].startswith("http"):
            self.requests += 1
            self.size += len(event["request"].get("postData", ""))

    def _arrived(self, size: float) -> None:
        self.size += int(size)

    def reset(self) -> None:
        """Begin to count at nothing."""
        self.requests, self.size = 0, 0

    def answer(self, key: str) -> float:
        """Look, press the key or keys, and return the seconds from the last press to the next picture."""
        self.page.wait_for_timeout(1000 * LOOK)
        if self.presses == 2:
            self.page.keyboard.press(key)
            self.page.wait_for_function(MARKED)
        self.page.evaluate(CLOCK, [self.submits if self.presses == 2 else key, self.shown])
        self.page.keyboard.press("Control+Enter" if self.presses == 2 else key)
        return float(self.page.evaluate("() => window.took"))


def emolabs_page(context: Any, link: str) -> Page:
    """The page of the app."""
    page = context.new_page()
    page.goto(link)
    page.wait_for_selector(".stage[data-shown]", timeout=120_000)
    return Page(page, OURS, "", 1)


def label_studios_page(context: Any, url: str, number: int, email: str, password: str) -> Page:
    """Label Studio's page at the first task of its queue."""
    page = context.new_page()
    page.set_default_timeout(120_000)
    page.goto(f"{url}/user/login/")
    page.fill("input[name=email]", email)
    page.fill("input[name=password]", password)
    page.click("button[type=submit]")
    page.wait_for_url(re.compile("/projects|/$"))
    page.bring_to_front()  # a page in the back does not move, and its windows never close
    page.goto(f"{url}/projects/{number}/data")
    page.locator(".lsf-table__row-wrapper").first.wait_for()
    page.get_by_role("button", name=re.compile("Label All Tasks")).first.click()
    window = page.locator(".lsf-modal-ls", has_text="Labeling Instructions")
    window.wait_for()
    page.keyboard.press("Escape")
    window.wait_for(state="detached")
    page.wait_for_function(f"() => ({THEIRS})() !== null")
    return Page(page, THEIRS, "Enter", 2)


def pictures(folder: Path, n: int) -> Path:
    """``n`` drawn faces as photographs would come: JPEG of :data:`SIDE` pixels."""
    folder.mkdir()
    for number, face in enumerate(draw_faces(n, np.random.default_rng(7))):
        grown = Image.open(io.BytesIO(face.png)).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        noise = np.random.default_rng(number).normal(0, 6, (SIDE, SIDE, 3))  # a camera's, else all are tiny files
        pixels = np.clip(np.asarray(grown) + noise, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.jpg", quality=88)
    return folder


@contextmanager
def app_server(workspace: Workspace, url: str, token: str) -> Iterator[str]:
    """``emolab serve --app`` on a free port; its address."""
    port = free_port()
    words = [sys.executable, "-m", "emolab", "-w", str(workspace.root), "serve", "--app", "--port", str(port), "--json"]
    env = {**os.environ, "LABEL_STUDIO_URL": url, "EMOLAB_STUDIO_TOKEN": token}
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=env)
    try:
        lines = ""
        while not lines.endswith("}\n"):
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise SystemExit("emolab serve did not start.")
            lines += line
        yield str(json.loads(lines)["url"])
    finally:
        process.terminate()
        process.wait(60)


def rows(name: str, line: str, page: Page, requests: Sequence[float], sizes: Sequence[float]) -> list[Result]:
    """What one page came to on one line."""
    middle, spread = summary(page.seconds)
    slowest = sorted(page.seconds)[int(0.95 * (len(page.seconds) - 1))]
    n, note = len(page.seconds), f"{SIDE} px JPEG faces, {LOOK} s of looking"
    key, asked, size = f"{name}, {line}", summary(requests), summary(sizes)
    both = "both ways, bodies and answers"
    return [
        Result(f"{key}: key to next picture, median", middle, "s", n, 1, spread, note),
        Result(f"{key}: the same, 95 of 100 are faster", slowest, "s", n, 1, None, note),
        Result(f"{key}: key presses an answer", page.presses, "presses", n, 1, None, "Ctrl + Enter counts as one"),
        Result(f"{key}: requests an answer", asked[0], "requests", n, len(requests), asked[1]),
        Result(f"{key}: bytes an answer", size[0], "B", n, len(sizes), size[1], both),
    ]


def run(quick: bool) -> list[Result]:
    """Answer on both pages in turns, on both lines."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        raise SystemExit("Chromium is not installed: apt-get install chromium")
    blocks, each = (1, 6) if quick else (3, 14)
    lines = dict(list(LINES.items())[:1]) if quick else LINES
    n = len(lines) * blocks * (each + WARM_UP) + 24
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        workspace = Workspace.init(Path(temporary) / "faces", classes=CLASSES)
        workspace = workspace.with_settings({"labeling.faceless": True})
        server = EmbeddedServer(workspace)
        up = server.start().server
        stack.callback(server.stop)
        emolab.collect(workspace, [pictures(Path(temporary) / "photos", n)], faces="off")
        pushed = emolab.push(workspace, n=n, overlap=2)
        url = stack.enter_context(app_server(workspace, up.url, server.token()))
        link = emolab.add_serve_person(workspace, "ann", url=url).link
        with connect(up.url, server.token()) as studio:
            email, password = "bob@team.example", secrets.token_urlsafe(16)
            create_annotator(studio, email, password)
        driver = stack.enter_context(sync_playwright())
        chromium = driver.chromium.launch(executable_path=program, args=list(QUIET))
        stack.callback(chromium.close)
        size: Any = {"width": 1280, "height": 800}
        pages = {
            "emolab": emolabs_page(chromium.new_context(viewport=size), link),
            "Label Studio": label_studios_page(
                chromium.new_context(viewport=size), up.url, int(pushed.url.rpartition("/")[2]), email, password
            ),
        }
        return measure(pages, lines, blocks, each)


def measure(pages: dict[str, Page], lines: dict[str, Any], blocks: int, each: int) -> list[Result]:
    """``blocks`` of ``each`` answers on every page, in turns, line by line."""
    sessions = {name: page.watch() for name, page in pages.items()}
    found: list[Result] = []
    for line, limits in lines.items():
        for name, session in sessions.items():
            pages[name].seconds.clear()
            down, up, latency = limits or (-1, -1, 0)
            speed = {"offline": False, "downloadThroughput": down, "uploadThroughput": up, "latency": latency}
            session.send("Network.emulateNetworkConditions", speed)
        requests: dict[str, list[float]] = {name: [] for name in pages}
        sizes: dict[str, list[float]] = {name: [] for name in pages}
        for block in range(blocks):
            for name in pages if block % 2 == 0 else reversed(pages):
                page = pages[name]
                page.page.bring_to_front()
                for number in range(WARM_UP):
                    page.answer(str(number + 1))
                _settled(page)
                page.reset()
                page.seconds += [page.answer(str(number % 8 + 1)) for number in range(each)]
                _settled(page)
                requests[name].append(page.requests / each)
                sizes[name].append(page.size / each)
        for name, page in pages.items():
            found += rows(name, line, page, requests[name], sizes[name])
        ours, theirs = (summary(pages[name].seconds)[0] for name in pages)
        found.append(Result(f"emolab / Label Studio, {line}: key to next picture", ours / theirs, "x", blocks * each))
        if line == "loopback":
            verdict = "met" if ours <= MUST else "missed"
            note = f"must: {MUST} s ({verdict}); aim: {AIM} s ({'met' if ours <= AIM else 'missed'})"
            found.append(
                Result("emolab, loopback: share of the time allowed", ours / MUST, "x", blocks * each, note=note)
            )
    return found


def _settled(page: Page) -> None:
    """Wait until nothing more goes over the line."""
    before, quiet = -1, time.monotonic()
    while time.monotonic() - quiet < 1.0:
        if page.requests + page.size != before:
            before, quiet = page.requests + page.size, time.monotonic()
        page.page.wait_for_timeout(100)


if __name__ == "__main__":
    main(run)
