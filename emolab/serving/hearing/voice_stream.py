"""A model of voices listens to a stream: every window with a voice in it gets an answer, all others are "no voice"."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from emolab.modalities.audio.reading import RATE
from emolab.modalities.audio.spectrogram import picture
from emolab.modalities.preparing import require_alone, require_voices
from emolab.serving.hearing.sound_windows import SoundWindow, SoundWindows, WindowRules

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emolab.serving.hearing.sound_sources import SoundBlock, SoundSource
    from emolab.serving.predictor import Model

#: What a window is called in which nobody speaks.
NO_VOICE = "no voice"


@dataclass(frozen=True, kw_only=True, slots=True)
class WindowAnswer:
    """A window from second ``begin`` to ``end`` with ``voice`` seconds of voice in it.

    ``probs`` (k,) are the model's for its ``classes``, ``None`` where there is too little voice to judge. ``age``:
    seconds from the arrival of its last sample to this answer; of a file, which waits, from when it was cut.
    """

    begin: float
    end: float
    voice: float
    classes: tuple[str, ...]
    probs: NDArray[np.float32] | None
    age: float

    @property
    def best(self) -> tuple[str, float] | None:
        """The likeliest class and its probability; ``None`` without a voice."""
        if self.probs is None:
            return None
        place = int(self.probs.argmax())
        return self.classes[place], float(self.probs[place])


class VoiceStream:
    """One stream before ``model``. ``dropped`` counts windows that newer ones overtook while the model was busy."""

    def __init__(self, model: Model, rules: WindowRules | None = None) -> None:
        require_voices(model.preprocessing, "Listening")
        require_alone(model.preprocessing, "Listening")
        self.model = model
        self.rules = rules or WindowRules()
        self.dropped = 0
        self.seconds = 0.0
        self._judged(np.zeros(RATE // 10, np.float32))  # what is loaded at first use must not delay the first answer

    def answers(self, source: SoundSource) -> Iterator[WindowAnswer | None]:
        """An answer for each window, ``None`` after each block; of a live source only the newest of a block counts."""
        windows = SoundWindows(self.rules)
        for block in source:
            found = windows.add(block.samples)
            if source.live:
                ready = list(found)
                self.dropped += max(0, len(ready) - 1)
                found = iter(ready[-1:])
            for window in found:
                yield self._answer(window, source, block)
            self.seconds = windows.seconds
            yield None
        last = windows.rest()
        if last is not None:
            yield self._answer(last, source, None)

    def _answer(self, window: SoundWindow, source: SoundSource, block: SoundBlock | None) -> WindowAnswer:
        began = block.arrived if block is not None and source.live else time.monotonic()
        probs = None
        if window.voice >= self.rules.least:
            probs = self._judged(window.samples)
        return WindowAnswer(
            begin=round(source.offset + window.begin, 3),
            end=round(source.offset + window.end, 3),
            voice=window.voice,
            classes=self.model.classes,
            probs=probs,
            age=time.monotonic() - began,
        )

    def _judged(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        pixels = picture(samples, self.model.preprocessing)
        probs: NDArray[np.float32] = self.model.probabilities(pixels[None])[0]
        return probs


def window_row(answer: WindowAnswer) -> dict[str, Any]:
    """One window, ready for JSON."""
    best, probs = answer.best, answer.probs
    named = None if probs is None else dict(zip(answer.classes, probs.tolist(), strict=True))
    return {
        "begin": answer.begin,
        "end": answer.end,
        "voice": answer.voice,
        "label": None if best is None else best[0],
        "confidence": None if best is None else round(best[1], 5),
        "probs": None if named is None else {name: round(p, 5) for name, p in named.items()},
        "note": NO_VOICE if best is None else None,
    }


class WindowWriter:
    """Writes a row for each window to ``stream`` as it comes, as ``form``: csv or jsonl."""

    def __init__(self, stream: TextIO, form: str, classes: Sequence[str]) -> None:
        self._stream, self._classes = stream, tuple(classes)
        self._csv = csv.writer(stream, lineterminator="\n") if form == "csv" else None
        if self._csv is not None:
            self._csv.writerow(["begin", "end", "voice", "label", "confidence", *self._classes, "note"])

    def write(self, answer: WindowAnswer) -> None:
        """Add one row, for others to read at once."""
        row = window_row(answer)
        if self._csv is None:
            self._stream.write(json.dumps(row) + "\n")
        else:
            probs = row.pop("probs") or dict.fromkeys(self._classes, "")
            note = row.pop("note")
            self._csv.writerow(["" if cell is None else cell for cell in (*row.values(), *probs.values(), note)])
        self._stream.flush()
