"""What a live picture brings to the pool: noteworthy frames, by the way of collect, the session as their group."""

from __future__ import annotations

import queue
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from emolab.loop.operate.live.side_thread import SideThread

if TYPE_CHECKING:
    from emolab.catalog import Catalog
    from emolab.datasets.collect.ingest import Item
    from emolab.serving.live.pipeline import LiveAnswer
    from emolab.workspace import Workspace

#: Frames that are brought in together, and seconds after which fewer are.
_LOT, _SECONDS = 16, 10.0
#: Frames that may wait; more are left out and counted.
_WAITING = 64
#: Seconds that another command may collect while frames wait.
_BUSY = 600.0
#: The source of such samples.
SOURCE = "live"


class PoolCollector(SideThread["Item"]):
    """Keeps noteworthy frames as samples; a context manager. All that it does with a workspace, it does in a thread.

    ``consent`` is kept with every sample. ``added`` and ``known`` count samples, ``left_out`` the frames that came too
    fast, ``reasons`` why frames were taken.
    """

    def __init__(self, workspace: Workspace, consent: str) -> None:
        from collections import Counter

        from emolab.serving.live.noteworthy import Noteworthy

        super().__init__("live-collect", waiting=_WAITING)
        self._workspace, self.consent = workspace, consent
        self.session = f"live {datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
        self._judges: dict[str, Noteworthy] = {}
        self._number = 0
        self.added = self.known = self.left_out = 0
        self.reasons: Counter[str] = Counter()

    def see(self, stream: str, answer: LiveAnswer) -> None:
        """Judge one answer of ``stream`` (a tab, or the camera); quick, for it is called between two frames."""
        from PIL import Image

        from emolab.datasets.collect.ingest import Item
        from emolab.serving.live.noteworthy import Noteworthy

        if answer.answer is None or answer.pixels is None or self.failed:
            return
        judge = self._judges.get(stream)
        if judge is None:
            judge = self._judges.setdefault(stream, Noteworthy())
        reason = judge(answer.answer)
        if reason is None:
            return
        self._number += 1
        item = Item(
            data=Image.fromarray(answer.pixels),
            name=f"{self.session} {self._number:05d} {reason}",
            source=SOURCE,
            group=self.session,
            consent=self.consent,
        )
        if self.give(item):
            self.reasons[reason] += 1
        else:
            self.left_out += 1

    def to_dict(self) -> dict[str, object]:
        """What was kept, ready for JSON."""
        return {
            "session": self.session,
            "added": self.added,
            "already_known": self.known,
            "left_out": self.left_out,
            "reasons": dict(self.reasons.most_common()),
        }

    def work(self) -> None:
        """Bring frames in, a lot at a time; at the end look for copies among them."""
        from emolab.datasets.collect.collect import group_copies

        with self._workspace.catalog() as catalog:
            more = True
            while more:
                lot, more = self._lot()
                if lot:
                    self._keep(catalog, lot)
            if self.added:
                with self._workspace.lock("collect", wait=_BUSY):
                    group_copies(self._workspace, catalog)

    def _keep(self, catalog: Catalog, lot: list[Item]) -> None:
        from emolab.datasets.collect.collect import ingest_options
        from emolab.datasets.collect.ingest import ingest

        with self._workspace.lock("collect", wait=_BUSY):
            options = ingest_options(self._workspace.config.collect)
            report = ingest(self._workspace, catalog, lot, options=options, workers=1)
        self.added += report.added
        self.known += report.existing

    def _lot(self) -> tuple[list[Item], bool]:
        """The next frames, and whether there will be more."""
        import time

        lot: list[Item] = []
        until = time.monotonic() + _SECONDS
        while len(lot) < _LOT and (left := until - time.monotonic()) > 0:
            try:
                item = self.taken(left)
            except queue.Empty:
                break
            if item is None:
                return lot, False
            lot.append(item)
        return lot, True
