"""Where sound comes from: a microphone, or a file of sound or video. It comes as blocks, mono at 16 kHz.

A source is gone through once. A live one does not wait: who is too slow gets several blocks at once. A block may be
empty; so who listens can end in silence too.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from emolab.errors import DataError, EmolabError
from emolab.modalities.audio.microphone_device import DEFAULT, open_microphone
from emolab.modalities.problems import Refused

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Seconds between two looks whether to go on, and without a block, after which a microphone counts as lost.
_LOOK, _LOST = 0.1, 5.0
_NOTHING = np.zeros(0, np.float32)


@dataclass(frozen=True, slots=True)
class SoundBlock:
    """``samples`` (n,) float32, mono at 16 kHz; ``arrived``: when the last of them did, by the monotonic clock."""

    samples: NDArray[np.float32]
    arrived: float


class SoundSource(Protocol):
    """A stream of sound; ``notes`` are complete when it has come to its end. ``offset``: its time zero, in seconds."""

    live: bool
    offset: float
    notes: list[str]

    @property
    def name(self) -> str:
        """What people call it."""

    def __iter__(self) -> Iterator[SoundBlock]:
        """The blocks, in order."""


@dataclass
class FileSource:
    """A sound file, or the sound of a video, on the clock of the file; read as it is needed, however long it is."""

    path: str
    live: bool = field(default=False, init=False)
    offset: float = field(default=0.0, init=False)
    notes: list[str] = field(default_factory=list, init=False)

    @property
    def name(self) -> str:
        """The file."""
        return self.path

    def __iter__(self) -> Iterator[SoundBlock]:
        """The blocks. Raises :class:`DataError` for what is no sound, or ends before its time."""
        from emolab.modalities.audio.reading.sound import opened

        try:
            with opened(Path(self.path)) as sound:
                self.offset = sound.source.offset
                for samples in sound:
                    yield SoundBlock(samples, time.monotonic())
                self.notes = list(sound.notes)
                if not sound.seconds:
                    raise DataError(f"There is nothing in {self.path}: it holds no samples.")
        except Refused as refused:
            raise DataError(f"{self.path} cannot be heard: {refused.kind}: {refused.message}.") from refused


@dataclass
class MicrophoneSource:
    """A microphone: ``default``, a number or a part of a name; its blocks as they come."""

    device: str = DEFAULT
    live: bool = field(default=True, init=False)
    offset: float = field(default=0.0, init=False)
    notes: list[str] = field(default_factory=list, init=False)

    @property
    def name(self) -> str:
        """Which one."""
        return f"microphone {self.device}"

    def __iter__(self) -> Iterator[SoundBlock]:
        """The blocks until it sends no more. Raises :class:`EmolabError` without such a microphone."""
        waiting: queue.SimpleQueue[tuple[NDArray[np.float32], float]] = queue.SimpleQueue()
        lost = 0

        def heard(samples: NDArray[np.float32], overflow: bool) -> None:
            nonlocal lost
            lost += overflow
            waiting.put((samples, time.monotonic()))

        opened = open_microphone(self.device, heard)
        last = time.monotonic()
        with opened.stream:
            while (now := time.monotonic()) - last < _LOST:
                blocks = _taken(waiting)
                last = blocks[-1][1] if blocks else last
                samples = np.concatenate([_NOTHING, *(block for block, _ in blocks)])
                yield SoundBlock(samples, last if blocks else now)
                self.notes = [f"{lost:,} times sound was lost, because this machine was busy"] if lost else []
        raise EmolabError(
            f"Microphone {opened.name} sends no more sound.", hint="See that it is still there, and start again."
        )


def _taken(
    waiting: queue.SimpleQueue[tuple[NDArray[np.float32], float]],
) -> list[tuple[NDArray[np.float32], float]]:
    """All blocks that wait; none after a moment without any."""
    try:
        found = [waiting.get(timeout=_LOOK)]
        while not waiting.empty():
            found.append(waiting.get_nowait())
    except queue.Empty:
        return []
    return found
