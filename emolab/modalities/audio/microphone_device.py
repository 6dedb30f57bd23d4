"""A microphone of this machine, opened by PortAudio; one that cannot be is said in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from emolab.errors import EmolabError, MissingExtra
from emolab.modalities.audio.reading import RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: The microphone that the system takes where nothing else is said.
DEFAULT = "default"
#: Seconds of a block, and channels at most: they are averaged, and more than two are no microphone of one speaker.
_BLOCK, _CHANNELS = 0.05, 2
_HINT = (
    'Plug it in, and let this program use it in the settings of the system. A file is heard too: "emolab live FILE".'
)

#: Who takes a block: samples (n,), mono at 16 kHz, and whether some were lost before it.
Heard = Callable[["NDArray[np.float32]", bool], None]


@dataclass(frozen=True)
class Microphone:
    """An open device: its ``name``, and the ``stream`` to start and to close, a context manager."""

    name: str
    stream: Any


def open_microphone(device: str, heard: Heard) -> Microphone:
    """The microphone that ``device`` means: ``default``, its number, or a part of its name.

    ``heard`` is called for every block of 50 ms, by a thread of PortAudio.
    Raises :class:`EmolabError` where there is none, :class:`MissingExtra` without sounddevice.
    """
    portaudio = _portaudio()
    wanted: int | str | None = None if device == DEFAULT else int(device) if device.isdecimal() else device
    try:
        found = portaudio.query_devices(wanted, "input")
    except (ValueError, portaudio.PortAudioError) as error:
        raise _missing(portaudio, device) from error
    channels = min(int(found["max_input_channels"]), _CHANNELS)
    rate = round(float(found["default_samplerate"]))
    resampled = _resampler(rate)

    def take(data: Any, _frames: int, _time: Any, status: Any) -> None:
        samples = np.frombuffer(data, dtype=np.float32).reshape(-1, channels).mean(axis=1, dtype=np.float32)
        heard(resampled(samples), bool(getattr(status, "input_overflow", False)))

    try:
        stream = portaudio.RawInputStream(
            device=wanted, samplerate=rate, channels=channels, dtype="float32", blocksize=round(rate * _BLOCK),
            callback=take,
        )  # fmt: skip
    except (ValueError, portaudio.PortAudioError) as error:
        said = str(error.args[0] if error.args else error).rstrip(".")
        raise EmolabError(f"Microphone {found['name']} cannot be opened: {said}.", hint=_HINT) from error
    return Microphone(str(found["name"]), stream)


def _resampler(rate: int) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """What brings blocks of one stream from ``rate`` to 16 kHz."""
    if rate == RATE:
        return lambda samples: samples
    try:
        import soxr
    except ImportError as error:
        raise MissingExtra("soxr", "audio") from error
    stream = soxr.ResampleStream(rate, RATE, 1, dtype="float32", quality="HQ")
    return lambda samples: np.asarray(stream.resample_chunk(samples), dtype=np.float32)


def _portaudio() -> Any:
    try:
        import sounddevice
    except ImportError as error:
        raise MissingExtra("sounddevice", "audio") from error
    except OSError as error:  # its wheel for Linux comes without the library
        raise EmolabError(
            "A microphone needs the library PortAudio, which is not on this machine.",
            hint="On Debian and Ubuntu: apt install libportaudio2",
        ) from error
    return sounddevice


def _missing(portaudio: Any, device: str) -> EmolabError:
    inputs = [
        f"{number}: {each['name']}"
        for number, each in enumerate(portaudio.query_devices())
        if each["max_input_channels"] > 0
    ]
    if not inputs:
        return EmolabError("There is no microphone at this machine.", hint=_HINT)
    what = "There is no default microphone" if device == DEFAULT else f'There is no microphone "{device}"'
    return EmolabError(
        f"{what}. Microphones here: {', '.join(inputs)}.",
        hint=f"Name one, and the model after it: emolab live --microphone {inputs[0].partition(':')[0]} MODEL",
    )
