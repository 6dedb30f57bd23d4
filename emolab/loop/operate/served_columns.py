"""The opt-in log of a served model: a thread writes what was answered, and no answer waits for it."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from emolab.errors import EmolabError
from emolab.loop.operate.logged_models import LoggedNetwork, LoggedOwn, shape_of_log
from emolab.monitoring.served_log import ServedLog
from emolab.serving.own_predictor import OwnPredictor
from emolab.serving.predictor import Predictor

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from emolab.config import CollectConfig
    from emolab.inference.served_model import ServedModel
    from emolab.inference.uncertainty import Uncertainty
    from emolab.loop.operate.logged_models import LoggedModel, Shown
    from emolab.modalities.own_models import OwnModel
    from emolab.serving.answers import Crop

logger = logging.getLogger("emolab.serving")

#: Where the log lies in the workspace's state.
FOLDER = "served"
#: Batches that may wait to be written; more are counted and left out.
MOST_WAITING = 256
_SECONDS_TO_END = 10.0


class ServedColumns:
    """Writes to ``folder`` what models answered; ``days`` and ``most`` bytes bound it. ``warn`` is told, once, of a log
    that ends because it cannot be written: answers go on.
    """

    def __init__(self, folder: Path, *, days: int, most: int, warn: Callable[[str], object]) -> None:
        self._folder, self._days, self._most, self._warn = folder, days, most, warn
        self._logs: dict[str, ServedLog] = {}
        self._queue: queue.Queue[tuple[LoggedModel, Shown, NDArray[np.float32], NDArray[np.float32]] | None]
        self._queue = queue.Queue(MOST_WAITING)
        self._failed = False
        #: Rows that were not written, because the thread was behind or the disk is full.
        self.left_out = 0
        self._thread = threading.Thread(target=self._run, name="served log", daemon=True)
        self._thread.start()

    def offer(
        self, model: LoggedModel, shown: Shown, probs: NDArray[np.float32], features: NDArray[np.float32]
    ) -> None:
        """Keep what ``model`` answered (n, k) of what it was ``shown`` (n). Returns at once."""
        try:
            self._queue.put_nowait((model, shown, probs, features))
        except queue.Full:
            self.left_out += len(probs)

    def lacking(self) -> int:
        """How many rows the log lacks."""
        return self.left_out

    def close(self) -> None:
        """Write what waits, within a few seconds, then stop; say how many rows were left out."""
        with contextlib.suppress(queue.Full):
            self._queue.put(None, timeout=_SECONDS_TO_END)
        self._thread.join(_SECONDS_TO_END)
        while self._thread.is_alive():  # a disk that does not answer: what still waits is not written
            try:
                waiting = self._queue.get_nowait()
            except queue.Empty:
                break
            self.left_out += 0 if waiting is None else len(waiting[2])
        if self.left_out:
            self._warn(f"The log of what was served lacks {self.left_out:,} answers.")

    def _run(self) -> None:
        while (batch := self._queue.get()) is not None:
            if self._failed:
                self.left_out += len(batch[2])
                continue
            try:
                self._write(*batch)
            except Exception as error:  # of whatever kind: a thread that ends would say nothing and stop a server's end
                self._end(error, len(batch[2]))
        for log in self._logs.values():
            try:
                log.close()
            except OSError as error:
                self._end(error, 0)

    def _end(self, error: Exception, rows: int) -> None:
        """Nothing more is written; that is said once."""
        self.left_out += rows
        if self._failed:
            return
        self._failed = True
        if not isinstance(error, OSError | EmolabError):
            logger.exception("the log of what is served has a fault")
        self._warn(
            f"The log of what is served ends here: {error if isinstance(error, OSError | EmolabError) else repr(error)}"
        )

    def _write(
        self, model: LoggedModel, shown: Shown, probs: NDArray[np.float32], features: NDArray[np.float32]
    ) -> None:
        found = model.quality(shown)
        if model.id not in self._logs:
            shape = shape_of_log(model, features.shape[1])
            self._logs[model.id] = ServedLog(self._folder, shape, days=self._days, most=self._most)
        self._logs[model.id].append({"probs": probs, "embeddings": features, "quality": found}, time.time())


class LoggedPredictor(Predictor):
    """A predictor whose answers are kept by ``columns``. Warming up is no answer, and neither is what it says of
    samples (:meth:`as_samples`)."""

    def __init__(
        self, model: ServedModel, looking: CollectConfig, *, uncertainty: Uncertainty, columns: ServedColumns
    ) -> None:
        super().__init__(model, looking, uncertainty=uncertainty)
        self._logged, self._columns = LoggedNetwork(model), columns

    def probabilities_of(self, crops: Sequence[Crop]) -> NDArray[np.float32]:
        """Probabilities (n, k) of ``crops`` (n), all computed together, and kept."""
        return _kept(self._logged, crops, self._columns) if crops else super().probabilities_of(crops)


class LoggedOwnPredictor(OwnPredictor):
    """The same of a model that its modality runs by itself."""

    def __init__(
        self, own: OwnModel, looking: CollectConfig, *, uncertainty: Uncertainty, columns: ServedColumns
    ) -> None:
        super().__init__(own, looking, uncertainty=uncertainty)
        self._logged, self._columns = LoggedOwn(own), columns

    def as_samples(self) -> OwnPredictor:
        """One that keeps nothing of what it says."""
        return OwnPredictor(self.own, self.looking, uncertainty=self.uncertainty)

    def probabilities_of(self, crops: Sequence[Crop]) -> NDArray[np.float32]:
        """Probabilities (n, k) of the samples in ``crops`` (n), all computed together, and kept."""
        return _kept(self._logged, crops, self._columns) if crops else super().probabilities_of(crops)


def _kept(model: LoggedModel, crops: Sequence[Crop], columns: ServedColumns) -> NDArray[np.float32]:
    shown = [crop.pixels for crop in crops]
    probs, features = model.answers(shown)
    columns.offer(model, shown, probs, features)
    return probs
