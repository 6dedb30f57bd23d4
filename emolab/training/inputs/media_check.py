"""Is the file of a sample what was collected? Pixels of those that are, and a reason in words for those that are not.

The id of a sample is the sha256 of its file, so a file that was cut off, overwritten or exchanged is found for the
price of a hash, a small part of that of decoding.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emolab import ranges
from emolab.errors import DamagedMedia, DataError
from emolab.modalities.preparing import Preprocessing, Unprepared, decode

#: What ``training.damaged`` may say.
STOP, LEAVE_OUT = "stop", "leave_out"
HINT = (
    "Collect or merge the originals again, which repairs their files: emolab collect PATH. "
    "Or go on without them: --set training.damaged=leave_out"
)


def leaves_out(setting: str) -> bool:
    """Whether damaged media are left out. Raises :class:`ConfigError` for a word that is no setting."""
    ranges.check("training.damaged", setting)
    return setting == LEAVE_OUT


def read(sample: str, file: Path) -> bytes:
    """The bytes of ``file``, which are those of ``sample``.

    Raises :class:`DataError` that says in a few words what is wrong with it.
    """
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        raise DataError("is missing") from None
    except IsADirectoryError:
        raise DataError("is a folder") from None
    except OSError as error:
        raise DataError(f"may not be read ({(error.strerror or str(error)).lower()})") from None
    if not data:
        raise DataError("is empty")
    if hashlib.sha256(data).hexdigest() != sample:
        raise DataError(_instead(data))
    return data


def pixels(sample: str, media: bytes | Path, wanted: Preprocessing) -> NDArray[np.uint8] | str:
    """Pixels (height, width, channels), or what is wrong with the media of ``sample``. Bytes are taken as they are."""
    try:
        return decode(media if isinstance(media, bytes) else read(sample, media), wanted)
    except DataError as error:
        return reason(error)


def damaged(found: Mapping[str, str], media: Callable[[str], bytes | Path], total: int) -> DamagedMedia:
    """The error that names the samples of ``found`` (id: what is wrong) among ``total``."""
    files = {}
    for sample, reason in found.items():
        item = media(sample)
        files[sample] = (f"sample {sample[:10]}" if isinstance(item, bytes) else str(item), reason)
    return DamagedMedia(files, total, hint=HINT)


def _instead(data: bytes) -> str:
    """What ``data`` are, which are not those of the sample."""
    try:
        decode(data, Preprocessing(8, "gray"))
    except DataError as error:
        return reason(error)
    return "holds another image than was collected"


def reason(error: DataError) -> str:
    """What an error of decoding says is wrong with a file, in a few words."""
    return f"cannot be read as {error.KIND}: {error.reason}" if isinstance(error, Unprepared) else error.message
