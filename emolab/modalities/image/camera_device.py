"""A camera of this machine, opened; one that cannot be is said in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from emolab.errors import EmolabError, MissingExtra


def devices() -> list[str]:
    """The video devices of this machine, as far as the system lists them."""
    return sorted(str(path) for path in Path("/dev").glob("video*"))


def open_camera(device: int | str, *, extra: str) -> Any:
    """OpenCV's capture of camera ``device`` (a number, or whatever OpenCV opens).

    Raises :class:`EmolabError` where there is none, :class:`MissingExtra` (of ``extra``) without OpenCV.
    """
    try:
        import cv2
    except ImportError as error:
        raise MissingExtra("OpenCV", extra) from error
    log = cv2.utils.logging
    level = log.getLogLevel()
    log.setLogLevel(log.LOG_LEVEL_SILENT)  # it prints warnings for a camera that is not there; ours says more
    try:
        capture = cv2.VideoCapture(device)
    finally:
        log.setLogLevel(level)
    if not capture.isOpened():
        found = ", ".join(devices()) or "none"
        raise EmolabError(
            f"Camera {device} cannot be opened. Video devices here: {found}.",
            hint="Plug it in, close other programs that use it, and see that you may read the device "
            '(on Linux: be in the group video). The camera of a browser works too: "emolab live".',
        )
    return capture
