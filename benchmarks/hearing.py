"""How soon `emolab live` answers about a voice: from the end of a window to its answer, in real time.

A made voice comes in blocks of 50 ms, as from a microphone, on the clock. A window of 4.1 s ends every second. The time
counts from the moment in which the last sample of the window was spoken; so waiting for its block is in it. The network
is voice16 with random weights, on one core: speed alone counts.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Result, main
from emolab.inference.runtime import open_export
from emolab.inference.served_model import ServedModel, of_file
from emolab.modalities.audio.reading import RATE
from emolab.serving.hearing.sound_sources import SoundBlock
from emolab.serving.hearing.sound_windows import WindowRules
from emolab.serving.hearing.voice_stream import VoiceStream

#: Milliseconds in which an answer is to be there, and samples of a block.
TARGET, BLOCK = 200.0, 800


@dataclass
class PacedVoice:
    """A microphone that hears `samples`, each at its time (a `live` one); `began` is when the first one was spoken."""

    samples: NDArray[np.float32]
    live: bool = True
    offset: float = 0.0
    notes: list[str] = field(default_factory=list)
    name: str = "paced"
    began: float = 0.0

    def __iter__(self) -> Iterator[SoundBlock]:
        self.began = time.monotonic()
        for at in range(0, len(self.samples), BLOCK):
            due = self.began + (at + BLOCK) / RATE
            if self.live:
                time.sleep(max(0.0, due - time.monotonic()))
            yield SoundBlock(self.samples[at : at + BLOCK], due)


def run(quick: bool) -> list[Result]:
    """Listen for a while, and read a recording as fast as it goes."""
    with tempfile.TemporaryDirectory() as folder:
        model = network(Path(folder))
        seconds = 10 if quick else 64
        source = PacedVoice(hum(float(seconds)))
        stream = VoiceStream(model, WindowRules())
        ages, voiced = [], 0
        for answer in stream.answers(source):
            if answer is not None and answer.end < seconds:
                ages.append(1000 * (time.monotonic() - source.began - answer.end))
                voiced += answer.probs is not None
        began = time.process_time()
        n = sum(answer is not None for answer in VoiceStream(model).answers(PacedVoice(hum(60.0), live=False)))
        cost = 1000 * (time.process_time() - began) / n
    ordered = sorted(ages)
    note = f"aim {TARGET:.0f} ms; {voiced} of {len(ages)} windows with a voice, {stream.dropped} dropped"
    return [
        Result("median", statistics.median(ages), "ms", n=len(ages), spread=(ordered[0], ordered[-1]), note=note),
        Result("95 % within", ordered[round(0.95 * (len(ordered) - 1))], "ms", n=len(ages)),
        Result("work of a window", cost, "CPU ms", n=n, note="voice activity, spectrogram, network"),
    ]


def hum(seconds: float) -> NDArray[np.float32]:
    """Return a pitch that glides, in syllables: detectors of voice activity take it for a voice."""
    t = np.arange(round(RATE * seconds)) / RATE
    phase = 2 * np.pi * (120 * t + 4 * np.sin(2 * t))
    harmonics = sum(np.sin(k * phase) / k for k in range(1, 31))
    return np.asarray(0.2 * harmonics * (0.5 + 0.5 * np.sin(2 * np.pi * 1.3 * t)) ** 2, dtype=np.float32)


def network(folder: Path) -> ServedModel:
    """Return voice16 with random weights, run by ONNX Runtime on one core."""
    code = "import sys; from benchmarks.hearing import write_voice16; write_voice16(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True)
    return of_file(open_export(folder / "voice16.onnx", threads=1))


def write_voice16(folder: str) -> None:
    """Write it into `folder` as the ONNX file that emolab makes of a trained model."""
    from benchmarks.export import built
    from emolab.training.export import formats, parity

    model, made = built("voice16", 64)
    made = replace(made, color="sound")
    document = formats.describe(made, to="onnx", precision="fp32", width=model.head.in_features)
    formats.write(model, Path(folder) / "voice16.onnx", document, "", parity.synthetic(4, made.preprocessing))


if __name__ == "__main__":
    main(run)
