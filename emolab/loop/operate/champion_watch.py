"""A server follows its workspace: when another model becomes the champion, that one answers, without a failed request.

A look every few seconds, and at once when asked to. A model that cannot be loaded leaves the one that answers in its
place: that is logged, and tried again when the name points elsewhere, or after a minute.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emolab.serving.model_host import ModelHost, ModelVersion

logger = logging.getLogger("emolab.serving")

#: Seconds after which a model that could not be loaded is tried again.
RETRY = 60.0


class ChampionWatch:
    """Swaps ``host`` to what ``load`` opens whenever ``current`` gives another id than the one that answers.

    ``also`` is called after every look.
    """

    def __init__(
        self,
        host: ModelHost,
        *,
        current: Callable[[], str | None],
        load: Callable[[], ModelVersion],
        seconds: float,
        also: Callable[[], None] = lambda: None,
    ) -> None:
        self.host = host
        self._current, self._load, self._seconds, self._also = current, load, seconds, also
        self._asked, self._stopped = threading.Event(), False
        self._failed: tuple[str, float] | None = None
        self._thread = threading.Thread(target=self._run, name="champion-watch", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def now(self) -> None:
        """Look at once; a model that failed before is tried again."""
        self._failed = None
        self._asked.set()

    def stop(self) -> None:
        """Stop looking."""
        self._stopped = True
        self._asked.set()
        if self._thread.is_alive():
            self._thread.join()

    def look(self) -> bool:
        """Whether another model answers after this look."""
        found = self._current()
        if found is None or found == self.host.version.id:
            return False
        if self._failed is not None and self._failed[0] == found and time.monotonic() < self._failed[1]:
            return False
        try:
            version = self._load()
            version.warm_up()
        except Exception:
            self._failed = (found, time.monotonic() + RETRY)
            logger.exception("model %s cannot be loaded; %s goes on", found[:12], self.host.version.id[:12])
            return False
        before = self.host.swap(version)
        logger.warning("model %s answers now instead of %s", version.id[:12], before.id[:12])
        return True

    def _run(self) -> None:
        while True:
            self._asked.wait(self._seconds)
            self._asked.clear()
            if self._stopped:
                return
            try:
                self.look()
                self._also()
            except Exception:  # such as a catalog that is locked or gone for a moment
                logger.exception("the look for a new champion failed")
