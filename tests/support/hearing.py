"""What listens in tests: a model of voices without a network, sounds that come in blocks, a microphone that is none."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emolab.modalities.preparing import Preprocessing
from emolab.serving.hearing.sound_sources import SoundBlock


@dataclass
class FakeVoiceModel:
    """Says ``high`` by the share of loud values in the upper bands.

    ``asked`` counts windows, ``shapes`` are those of what it saw, ``wait`` delays each answer.
    """

    id: str = "e" * 64
    classes: tuple[str, ...] = ("high", "low")
    preprocessing: Preprocessing = field(default_factory=lambda: Preprocessing(32, "sound"))
    wait: Callable[[], object] = lambda: None
    asked: int = 0
    shapes: set[tuple[int, ...]] = field(default_factory=set)
    runner: Any = field(default_factory=lambda: SimpleNamespace(engine="onnx", precision="fp32"))

    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Rows (n, 2) that sum to 1."""
        self.asked += len(pixels)
        self.shapes.add(pixels.shape[1:])
        self.wait()
        loud = (pixels[:, :, :, 0] > 150).sum(axis=2).astype(np.float64) + 1e-6
        high = loud[:, loud.shape[1] // 2 :].sum(axis=1) / loud.sum(axis=1)
        return np.stack([high, 1 - high], axis=1).astype(np.float32)


@dataclass
class Blocks:
    """A source that gives ``samples`` in blocks of ``size``."""

    samples: NDArray[np.float32]
    size: int = 800
    live: bool = False
    offset: float = 0.0
    notes: list[str] = field(default_factory=list)
    name: str = "blocks"

    def __iter__(self) -> Iterator[SoundBlock]:
        for at in range(0, len(self.samples), self.size):
            yield SoundBlock(self.samples[at : at + self.size], time.monotonic())


def fake_portaudio(
    samples: NDArray[np.float32], *, rate: int = 48_000, devices: Sequence[str] = ("built-in",), lost_at: int = -1
) -> Any:
    """A module like sounddevice whose microphones hear ``samples`` (n,), all at once, by the block."""

    class PortAudioError(Exception):
        pass

    listed = [{"name": name, "max_input_channels": 1, "default_samplerate": float(rate)} for name in devices]

    def query_devices(device: int | str | None = None, kind: str | None = None) -> Any:
        if kind is None:
            return listed
        if device is None and listed:
            return listed[0]
        if isinstance(device, int) and 0 <= device < len(listed):
            return listed[device]
        found = [each for each in listed if isinstance(device, str) and device in each["name"]]
        if not found:
            raise ValueError("no input device matching")
        return found[0]

    class RawInputStream:
        def __init__(self, *, blocksize: int, channels: int, callback: Callable[..., None], **how: Any) -> None:
            assert (how["dtype"], channels, how["samplerate"]) == ("float32", 1, rate)
            self._size, self._heard = blocksize, callback

        def __enter__(self) -> RawInputStream:
            for number, at in enumerate(range(0, len(samples), self._size)):
                part = samples[at : at + self._size]
                status = SimpleNamespace(input_overflow=number == lost_at)
                self._heard(part.astype(np.float32).tobytes(), len(part), None, status)
            return self

        def __exit__(self, *exc: object) -> None:
            pass

    return SimpleNamespace(query_devices=query_devices, RawInputStream=RawInputStream, PortAudioError=PortAudioError)
