"""The weights of the face detector: a local file, or one download that is checked and kept.

The file is ``onnx/yunet_n_dynamic.onnx`` of the project libfacedetection.train (Apache-2.0 licence file), pinned to one
commit. What was verified: the checksum below belongs to a copy that finds faces through ``cv2.FaceDetectorYN`` of
OpenCV 4.14 and 5.0, and other public projects pin the same checksum for this very address. The address itself was not
reached from the machine this was written on.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from filelock import FileLock

from emolab.errors import DataError
from emolab.progress import SILENT, Progress

URL = (
    "https://raw.githubusercontent.com/ShiqiYu/libfacedetection.train/"
    "dca340aa082c71081a68d17db8e58b33a58a914b/onnx/yunet_n_dynamic.onnx"
)
SHA256 = "104ee26c71d5c270ce79a6b3dced91c91013260d29a6bf18f9296c5b8c4c2b12"
FILE_NAME = "yunet_n_dynamic.onnx"

#: How ``emolab collect`` does without a detector.
WHOLE_IMAGES = "pass --faces off to keep images whole"
_SECONDS = 20.0
_PIECE = 64 << 10


def detector(path: str, *, cache: Path | None = None, without: str = WHOLE_IMAGES, progress: Progress = SILENT) -> Path:
    """The detector's weights: the file at ``path`` when one is named, else the known one, downloaded on first use.

    ``cache`` is where downloads are kept (default: the user's cache folder), ``without`` how to do without a detector,
    for the hint. Raises :class:`DataError` when the named file is missing or the download fails.
    """
    hint = offline_hint(without)
    if path:
        file = Path(path).expanduser()
        if not file.is_file():
            raise DataError(f"The face detector {file} does not exist (collect.detector).", hint=hint)
        return file
    return download(URL, SHA256, (cache or user_cache()) / FILE_NAME, hint=hint, progress=progress)


def user_cache() -> Path:
    """The folder for downloads shared by all workspaces of this user."""
    from platformdirs import user_cache_path

    return user_cache_path("emolab")


def download(url: str, sha256: str, target: Path, *, hint: str | None = None, progress: Progress = SILENT) -> Path:
    """``target``, fetched from ``url`` unless it is there already with the right ``sha256``.

    An interrupted download goes on where it stopped (HTTP Range); the file appears under its name only when its
    checksum is right. Raises :class:`DataError`, with ``hint``, when the server cannot be reached or sends something
    else.
    """
    if target.is_file() and _sha256(target) == sha256:
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_name(f"{target.name}.lock")):  # another process may be fetching it just now
        if not (target.is_file() and _sha256(target) == sha256):
            _download(url, sha256, target, hint or offline_hint(), progress)
    return target


def _download(url: str, sha256: str, target: Path, hint: str, progress: Progress) -> None:
    partial = target.with_name(f"{target.name}.part")
    try:
        _fetch(url, partial, progress)
        found = _sha256(partial)
        if found != sha256 and partial.stat().st_size:  # what an earlier run left may be of another file: once more
            partial.unlink()
            _fetch(url, partial, progress)
            found = _sha256(partial)
    except (URLError, TimeoutError, ConnectionError) as error:
        cause = error.reason if isinstance(error, URLError) else error
        raise DataError(f"The face detector could not be downloaded from {url}: {cause}.", hint=hint) from error
    if found != sha256:
        partial.unlink()
        raise DataError(
            f"{url} sent a file with sha256 {found[:16]}..., expected {sha256[:16]}...; it was thrown away.",
            hint=hint,
        )
    os.replace(partial, target)  # noqa: PTH105 - atomic


def _fetch(url: str, partial: Path, progress: Progress) -> None:
    """Bring ``partial`` to its full length."""
    start = partial.stat().st_size if partial.exists() else 0
    request = Request(url, headers={"Range": f"bytes={start}-"} if start else {})  # noqa: S310 - from a constant
    try:
        with urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310
            resumed = answer.status == 206
            length = int(answer.headers["Content-Length"]) if "Content-Length" in answer.headers else None
            received = 0
            with (
                partial.open("ab" if resumed else "wb") as out,
                progress.task("Downloading the face detector", length, unit="bytes") as task,
            ):
                while piece := answer.read(_PIECE):
                    out.write(piece)
                    task.advance(len(piece))
                    received += len(piece)
        if length is not None and received < length:
            raise ConnectionError(f"the connection was closed after {received:,} of {length:,} bytes")
    except HTTPError as error:
        if error.code != 416:  # nothing is left to send: the part is whole, or of another file
            raise


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def offline_hint(without: str = WHOLE_IMAGES) -> str:
    """What to do where the detector cannot be downloaded; ``without`` is how to do without one."""
    return f"Without internet: bring the file from {URL} and pass --set collect.detector=PATH, or {without}."
