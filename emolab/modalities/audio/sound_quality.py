"""How usable a clip is, in a few numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from emolab.modalities.audio.voice import decibels, levels, voiced

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Of full scale; two neighbouring samples beyond this are clipped.
_FULL = 32_700
#: Decibels beyond which a signal-to-noise ratio says nothing more.
_CLEAN = 60.0


def measure(
    samples: NDArray[np.int16],
    heard: NDArray[np.bool_] | None = None,
    loudness: NDArray[np.float32] | None = None,
) -> dict[str, float]:
    """Quality of a clip (n,) at 16 kHz; ``heard`` and ``loudness`` of its frames, where they are known already.

    ``loudness``: RMS of the frames with voice (of all where there is none), in dBFS. ``clipping``: share of samples at
    full scale beside another one, 0..1. ``voice``: share of frames of 30 ms in which the detector hears voice, 0..1.
    ``snr``: decibels by which the voice is louder than what is heard between it, estimated: the noise is the mean of
    the quietest tenth of the frames without voice (of all frames where there are too few). 0 to 60.
    """
    heard = voiced(samples) if heard is None else heard
    loudness = levels(samples) if loudness is None else loudness
    power = np.power(10.0, loudness.astype(np.float64) / 10)
    speech = power[heard].mean() if heard.any() else power.mean()
    between = power[~heard] if np.count_nonzero(~heard) >= 5 else power
    noise = np.sort(between)[: max(1, len(between) // 10)].mean()
    snr = 10 * np.log10(max(speech - noise, 1e-12) / noise) if heard.any() else 0.0
    full = np.abs(samples.astype(np.int32)) >= _FULL
    clipped = np.zeros(len(samples), dtype=bool)
    pairs = full[1:] & full[:-1]
    clipped[1:] |= pairs
    clipped[:-1] |= pairs
    return {
        "loudness": round(float(decibels(np.array(speech))), 1),
        "clipping": round(float(clipped.mean()), 4),
        "voice": round(float(heard.mean()), 3),
        "snr": round(float(np.clip(snr, 0, _CLEAN)), 1),
    }
