"""A server follows its workspace: when another model becomes the champion, that one answers, without a failed request.

A look every few seconds, at once when asked to, and within a second of what rings: a file that every move of a name
writes, which costs less to look at than a catalog. A model that cannot be loaded leaves the one that answers in its
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

#: Seconds between looks at what rings.
BELL = 0.5
#: Seconds after which a model that could not be loaded is tried again.
RETRY = 60.0


class ChampionWatch:
    """Swaps ``host`` to what ``load`` opens whenever ``current`` gives another id than the one that answers.

    ``bell`` gives another value when something may have moved. ``also`` is called after every look.
    """

    def __init__(
        self,
        host: ModelHost,
        *,
        current: Callable[[], str | None],
        load: Callable[[], ModelVersion],
        seconds: float,
        also: Callable[[], None] = lambda: None,
        bell: Callable[[], object] = lambda: None,
    ) -> None:
        self.host = host
        self._current, self._load, self._seconds, self._also = current, load, seconds, also
        self._bell = bell
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
        heard: object = object()  # nothing it can give: the first look is at once
        due = time.monotonic() + self._seconds
        while True:
            asked = self._asked.wait(min(self._seconds, BELL))
            self._asked.clear()
            if self._stopped:
                return
            rings = self._bell()
            if not asked and rings == heard and time.monotonic() < due:
                continue
            heard, due = rings, time.monotonic() + self._seconds
            try:
                self.look()
                self._also()
            except Exception:  # such as a catalog that is locked or gone for a moment
                heard = object()
                logger.exception("the look for a new champion failed")
