"""Pictures from a camera: one every few seconds, without those that look like the last one kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from emolab.datasets.collect.ingest import Item, Problem
from emolab.datasets.collect.video import Novelty
from emolab.modalities.image.camera_device import open_camera

if TYPE_CHECKING:
    from numpy.typing import NDArray


def pictures(
    device: int | str,
    *,
    every: float = 1.0,
    similar: float = 0.06,
    limit: int | None = None,
    consent: str | None = None,
    stopped: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Item | Problem]:
    """New pictures of camera ``device`` (a number, or whatever OpenCV opens), at most ``limit``, until ``stopped``.

    One look every ``every`` seconds; what is not new by ``similar`` (see
    :class:`emolab.datasets.collect.video.Novelty`) is left out. All pictures of one sitting share a group. Raises
    :class:`EmolabError` when there is no such camera.
    """
    from PIL import Image

    capture = open_camera(device, extra="data")
    sitting = f"camera {device} {datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
    is_new = Novelty(similar)
    kept, due, ok = 0, clock(), True
    try:
        while not stopped() and (limit is None or kept < limit):
            ok, pixels = capture.read()  # read on between two looks, or the driver hands out old pictures
            if not ok:
                break
            if clock() < due:
                continue
            due += every
            image = Image.fromarray(_rgb(pixels))
            if is_new(image):
                kept += 1
                yield Item(data=image, name=f"{sitting} {kept:05d}", group=sitting, consent=consent)
    finally:
        capture.release()
    if not ok:
        message = "no more pictures" if kept else "it opened but sent no picture; is another program using it?"
        yield Problem(f"camera {device}", "camera", message, taken=bool(kept))


def _rgb(pixels: NDArray[Any]) -> NDArray[Any]:
    import cv2

    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
