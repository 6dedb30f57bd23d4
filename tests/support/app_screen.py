"""The app in a real browser: served by a thread of this process, with a page that tells of every script that failed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from emolab.serving.app.application import create
from emolab.serving.app.running import bind
from emolab.serving.workbench import all_routes
from emolab.serving.workbench.session import APP, Workbench
from emolab.workspace import Workspace
from tests.support.serving import service

WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 360, "height": 740}


@dataclass
class AppServer:
    """A server that answers at ``url``; ``bench`` is its side of the workspace."""

    url: str
    bench: Workbench

    def link(self) -> str:
        """A link for the owner."""
        return f"{self.url}/app#{self.bench.new_owner()}"


@contextmanager
def app_server(workspace: Workspace, folder: Path, **options: Any) -> Iterator[AppServer]:
    """The app over ``workspace`` at a free port of this machine; ``options`` are those of the service."""
    with ExitStack() as stack:
        made = service(folder, **options)
        stack.callback(made.close)
        bench = Workbench.of(workspace)
        stack.callback(bench.close)
        bound = bind("127.0.0.1", 0)
        app = create(made, more=all_routes.routes(bench, stack), by_session=APP, environment={})
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
        thread.start()
        try:
            yield AppServer(f"http://127.0.0.1:{bound.getsockname()[1]}", bench)
        finally:
            server.should_exit = True
            thread.join(30)
            bound.close()


@contextmanager
def on_screen(browser: Any, link: str, *, size: dict[str, int] = WIDE, dark: bool = False) -> Iterator[Any]:
    """A page at ``link``. In the end no script has failed, and nothing was shown that a name had brought along."""
    context = browser.new_context(viewport=size, color_scheme="dark" if dark else "light", locale="en")
    page = context.new_page()
    failed: list[str] = []
    page.on("pageerror", lambda error: failed.append(str(error)))
    page.on("dialog", lambda dialog: (failed.append(f"a window: {dialog.message}"), dialog.dismiss()))
    page.on("console", lambda said: failed.append(said.text) if "Content Security Policy" in said.text else None)
    try:
        page.goto(link)
        yield page
        assert not failed, failed
        assert not page.evaluate("window.ran"), "a name ran as a script"
    finally:
        context.close()
