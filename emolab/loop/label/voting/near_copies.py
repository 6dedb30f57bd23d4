"""Near copies of faces that were kept one by one are looked for in the background, as a collect does at its end."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emolab.workspace import Workspace

logger = logging.getLogger("emolab.serving")

#: Seconds that another command may collect meanwhile.
_BUSY = 600.0


class NearCopies:
    """Looks once after any number of :meth:`ask` that came while it was about to; close it.

    What an ended process leaves undone, the next collect does.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="near-copies")
        self._wanted = threading.Event()

    def ask(self) -> None:
        """Look soon; returns at once."""
        if not self._wanted.is_set():
            self._wanted.set()
            self._pool.submit(self._look)

    def close(self) -> None:
        """Begin nothing more, and wait for what is under way."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _look(self) -> None:
        from emolab.datasets.collect.collect import group_copies
        from emolab.errors import EmolabError

        self._wanted.clear()
        try:
            with self._workspace.lock("collect", wait=_BUSY), self._workspace.catalog() as catalog:
                group_copies(self._workspace, catalog)
        except EmolabError as error:
            logger.warning("Near copies are looked for at the next collect: %s", error.message)
        except Exception:
            logger.exception("Near copies are looked for at the next collect")
