"""The weights of the face detector: the YuNet that comes with emolab, or a file of the user's own.

Where the bundled file is from and its licence: ``yunet/about.md``. It is 323 kB, so that finding faces works without
internet.
"""

from __future__ import annotations

from pathlib import Path

from emolab.errors import DataError

BUNDLED = Path(__file__).parent / "yunet" / "yunet_n_dynamic.onnx"


def detector(path: str) -> Path:
    """The detector's weights: the file at ``path``, or the bundled one when ``path`` is empty.

    Raises :class:`DataError` when there is no such file.
    """
    if not path:
        if not BUNDLED.is_file():
            raise DataError(
                f"The face detector that comes with emolab is missing: {BUNDLED}.", hint="Install emolab again."
            )
        return BUNDLED
    file = Path(path).expanduser()
    if not file.is_file():
        raise DataError(
            f"The face detector {file} does not exist (collect.detector).",
            hint='Give a YuNet ONNX file, or "" for the one that comes with emolab: --set collect.detector=""',
        )
    return file
