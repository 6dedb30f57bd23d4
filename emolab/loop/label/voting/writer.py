"""Brings the app's answers to Label Studio and into the ledger, in the background, as soon as they are given."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emolab.workspace import Workspace

logger = logging.getLogger("emolab.serving")

#: Seconds that an answer may wait for the next one, and within which most people notice a wrong key.
GRACE = 2.0
#: Seconds between tries while the server is away: from the first to the longest.
RETRY, LONGEST = 2.0, 30.0


@dataclass
class WriteThrough:
    """Sends what waits, then pulls: the votes enter the ledger by the one way there is.

    A pull that is owed, because the last one failed or an earlier process ended before it, is made up for.
    """

    workspace: Workspace
    _owed: bool | None = None

    def __call__(self) -> None:
        """Raises :class:`EmolabError` without a server; what waits goes on waiting."""
        from emolab.catalog.campaign import app_answers
        from emolab.labeling.server.address import open_studio
        from emolab.loop.label.pull import pull
        from emolab.loop.label.voting.sending import send_waiting

        with self.workspace.catalog() as catalog, catalog.connect() as conn:
            waiting = bool(app_answers.waiting(conn))
            if self._owed is None:
                self._owed = app_answers.unread(conn)
        if waiting:
            with open_studio(self.workspace) as studio:
                self._owed |= send_waiting(self.workspace, studio).sent > 0
        if self._owed:
            pull(self.workspace)
            self._owed = False


@dataclass
class VoteWriter:
    """Calls ``write`` soon after each :meth:`ask`, and again and again while it fails; ``after`` each success.

    ``problem`` is what stands against it now; empty where nothing does.
    """

    write: Callable[[], object]
    after: Callable[[], None] = lambda: None
    problem: str = ""
    _wanted: threading.Event = field(default_factory=threading.Event)
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, with what an earlier process has left."""
        self._wanted.set()
        self._thread = threading.Thread(target=self._work, name="app-answers", daemon=True)
        self._thread.start()

    def ask(self) -> None:
        """Write soon; returns at once."""
        self._wanted.set()

    def close(self, *, timeout: float = 10.0) -> None:
        """Let a try that is under way come to its end, and begin no other; what is left waits in the catalog."""
        self._ended.set()
        self._wanted.set()
        if self._thread is not None:
            self._thread.join(timeout)

    def _work(self) -> None:
        from emolab.errors import EmolabError

        pause = RETRY
        while True:
            self._wanted.wait()
            if self._ended.wait(GRACE):
                return
            self._wanted.clear()
            try:
                self.write()
            except EmolabError as error:
                if self.problem != error.message:
                    logger.warning("Answers of the app wait: %s", error.message)
                self.problem = error.message
            except Exception:
                logger.exception("Answers of the app wait")
                self.problem = "The server failed; its log says more."
            else:
                self.problem, pause = "", RETRY
                self.after()
                continue
            if self._ended.wait(pause):
                return
            pause = min(LONGEST, 2 * pause)
            self._wanted.set()
