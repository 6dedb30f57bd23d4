"""FLAC as emolab stores it: mono, 16 kHz, 16 bit, and of the metadata only what a decoder needs."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from emolab.errors import MissingExtra
from emolab.modalities.audio.reading import RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LAST = 0x80


def encode(samples: NDArray[np.int16]) -> bytes:
    """``samples`` (n,) at 16 kHz as a FLAC file; the same samples give the same bytes on one installation."""
    try:
        import soundfile
    except ImportError as error:
        raise MissingExtra("soundfile", "audio") from error
    out = io.BytesIO()
    soundfile.write(out, samples, RATE, format="FLAC", subtype="PCM_16")
    return stripped(out.getvalue())


def stripped(data: bytes) -> bytes:
    """The FLAC file ``data`` without comments, pictures, padding and all other blocks but the first, STREAMINFO."""
    at, last = 4, False
    info = b""
    while not last:
        last = bool(data[at] & _LAST)
        length = int.from_bytes(data[at + 1 : at + 4], "big")
        if data[at] & ~_LAST & 0xFF == 0:
            info = data[at + 4 : at + 4 + length]
        at += 4 + length
    return b"".join((b"fLaC", bytes([_LAST]), len(info).to_bytes(3, "big"), info, data[at:]))


def sixteen_bits(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    """``samples`` as stored; what came from 16 bits goes back unchanged, what is louder than full scale is cut."""
    scaled = np.rint(samples * np.float32(32768))
    found: NDArray[np.int16] = np.clip(scaled, -32768, 32767, out=scaled).astype(np.int16)
    return found
