"""Where somebody speaks: voice activity of a recording in frames of 30 ms (WebRTC's detector, mode 2), and loudness."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from emolab.errors import MissingExtra
from emolab.modalities.audio.reading import RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Samples of a frame: 30 ms.
FRAME = 480
#: How readily the detector takes noise for speech: 0 readily .. 3 hardly.
_MODE = 2
#: dBFS of digital silence.
SILENT = -100.0


def voiced(samples: NDArray[np.int16], activity: str = "webrtc") -> NDArray[np.bool_]:
    """Which frames of ``samples`` (n,) hold voice: (ceil(n / 480),), by the detector ``activity``: webrtc or silero.

    Raises :class:`emolab.errors.ConfigError` for silero where its network is not installed.
    """
    if activity == "silero":
        return _by_silero(samples)
    try:
        import webrtcvad
    except ImportError as error:
        raise MissingExtra("webrtcvad-wheels", "audio") from error
    detector = webrtcvad.Vad(_MODE)
    data = samples.tobytes()
    data += bytes(-len(data) % (2 * FRAME))
    step = 2 * FRAME
    return np.array([detector.is_speech(data[at : at + step], RATE) for at in range(0, len(data), step)], dtype=bool)


def _by_silero(samples: NDArray[np.int16]) -> NDArray[np.bool_]:
    """What Silero's network says at the middle of each frame."""
    from emolab.inference.detectors import speech_activity

    said = speech_activity.speaks(samples.astype(np.float32) / np.float32(32768))
    n = -(-len(samples) // FRAME)
    middle = np.minimum((np.arange(n) * FRAME + FRAME // 2) // speech_activity.FRAME, len(said) - 1)
    found: NDArray[np.bool_] = said[middle] >= speech_activity.SPEAKS
    return found


def levels(samples: NDArray[np.int16]) -> NDArray[np.float32]:
    """Loudness of every frame in dBFS (RMS against full scale): (ceil(n / 480),)."""
    padded = np.zeros(-(-len(samples) // FRAME) * FRAME, dtype=np.float32)
    padded[: len(samples)] = samples
    frames = padded.reshape(-1, FRAME)
    power = np.einsum("ij,ij->i", frames, frames) / (FRAME * 32768.0**2)
    return decibels(power)


def decibels(power: NDArray[np.floating]) -> NDArray[np.float32]:
    """Mean squares as dBFS, at least :data:`SILENT`."""
    found: NDArray[np.float32] = (10 * np.log10(np.maximum(power, 10 ** (SILENT / 10)))).astype(np.float32)
    return found


def smoothed(flags: NDArray[np.bool_], *, gap: int, burst: int) -> NDArray[np.bool_]:
    """``flags`` with pauses of up to ``gap`` frames closed, then stretches of less than ``burst`` frames taken out."""
    out = flags.copy()
    for begin, end in runs(~flags):
        if begin > 0 and end < len(flags) and end - begin <= gap:
            out[begin:end] = True
    for begin, end in runs(out):
        if end - begin < burst:
            out[begin:end] = False
    return out


def runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(begin, end) of every stretch of true ``flags``."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


class VoiceFrames:
    """Voice activity of a stream that comes in blocks of any length."""

    def __init__(self) -> None:
        try:
            import webrtcvad
        except ImportError as error:
            raise MissingExtra("webrtcvad-wheels", "audio") from error
        self._detector = webrtcvad.Vad(_MODE)
        self._rest = b""

    def __call__(self, samples: NDArray[np.int16]) -> list[bool]:
        """Which frames hold voice, of those that ``samples`` (n,) complete."""
        data = self._rest + samples.tobytes()
        step = 2 * FRAME
        whole = len(data) - len(data) % step
        self._rest = data[whole:]
        return [self._detector.is_speech(data[at : at + step], RATE) for at in range(0, whole, step)]
