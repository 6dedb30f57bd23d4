"""What a live picture costs: CPU time per frame for one to eight faces, and how old frames are when they leave.

A frame is a JPEG of 640 x 480 pixels with moving drawn faces, 30 a second; its way goes from the bytes to the answer as
JSON, as for the page of `emolab live`, with face48. For the age, the model is made ten times slower on purpose.
ResNet50 at 224 pixels has random weights: speed alone counts. Its engines take turns, frame by frame.
"""

from __future__ import annotations

import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.harness import Result, main, ratio
from emolab.config import CollectConfig
from emolab.demonstration.drawn_faces import draw_faces
from emolab.inference import engine_cache
from emolab.inference.runtime import Runner, open_export
from emolab.inference.served_model import of_file
from emolab.loop.model.open_model import open_model
from emolab.loop.model.quick_engine import open_engine
from emolab.modalities.preparing import Preprocessing
from emolab.serving.live.browser import read_jpeg
from emolab.serving.live.face_stream import FaceStream, finder_for, stream_rules
from emolab.serving.live.frame_answers import plain
from emolab.serving.live.pipeline import ArrivedFrame, LiveAnswer, LivePipeline
from emolab.serving.pauses import short_pauses
from emolab.serving.predictor import Model

RATE, WIDTH, HEIGHT = 30, 640, 480
#: Milliseconds: the aim for one face, for one face with ResNet50, and what a frame may take beyond one interval.
TARGET, LARGE_TARGET, SLACK = 15.0, 33.0, 10.0
#: How many frames of film are made, to be shown again and again forwards and backwards.
FILM = 60
#: What runs ResNet50: the engine of the settings, and whether it must be exact. "auto" is what `emolab live` does.
ENGINES = (("onnx", True), ("openvino", True), ("auto", False))


@dataclass(frozen=True)
class SlowModel:
    """`model`, which answers everything `times` times before it tells."""

    model: Model
    times: int

    @property
    def id(self) -> str:
        """Its id."""
        return self.model.id

    @property
    def classes(self) -> tuple[str, ...]:
        """Its classes."""
        return self.model.classes

    @property
    def preprocessing(self) -> Preprocessing:
        """How images are prepared for it."""
        return self.model.preprocessing

    @property
    def conformal(self) -> Mapping[str, Any]:
        """What it states about sets of classes."""
        return self.model.conformal

    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return probabilities, late."""
        for _ in range(self.times - 1):
            self.model.probabilities(pixels)
        return self.model.probabilities(pixels)


def people(n: int, side: int) -> list[Image.Image]:
    """Return `n` drawn faces that the detector finds where they stand alone."""
    finder = finder_for(CollectConfig())
    found: list[Image.Image] = []
    for face in draw_faces(200, np.random.default_rng(3)):
        portrait = Image.open(io.BytesIO(face.png)).convert("RGB").resize((side, side), Image.Resampling.BILINEAR)
        frame = Image.new("RGB", (WIDTH, HEIGHT), (128, 120, 110))
        frame.paste(portrait, (200, 100))
        scores = [each.score for each in finder.find_pixels(np.array(frame)[:, :, ::-1].copy())]
        if len(scores) == 1 and scores[0] > 0.85:
            found.append(portrait)
        if len(found) == n:
            return found
    raise RuntimeError(f"only {len(found)} faces are found")


@cache
def film(faces: int) -> list[bytes]:
    """Return JPEG frames in which so many people move a little."""
    side = 220 if faces == 1 else 200 if faces <= 3 else 150
    across = WIDTH // side
    drawn = people(faces, side)
    frames = []
    for number in range(FILM):
        picture = Image.new("RGB", (WIDTH, HEIGHT), (128, 120, 110))
        for place, person in enumerate(drawn):
            left = place % across * (WIDTH // across) + round(8 * np.sin(number / 9 + place))
            picture.paste(person, (max(0, left), 10 + place // across * (HEIGHT // 3)))
        out = io.BytesIO()
        picture.save(out, "JPEG", quality=85)
        frames.append(out.getvalue())
    return [*frames, *frames[::-1]]


def cpu_per_frame(model: Model, faces: int, n: int) -> tuple[list[float], float]:
    """Return the CPU milliseconds of each of `n` frames, and how many faces were found in one on average."""
    looking = CollectConfig()
    stream = FaceStream(model, finder_for(looking), stream_rules(looking))
    taken, found = [], 0
    for number, jpeg in zip(range(n + 30), cycle(film(faces)), strict=False):
        began = time.process_time()
        answer = stream.answer(number / RATE, read_jpeg(jpeg))
        json.dumps(plain(answer, model.classes))
        if number >= 30:
            taken.append(1000 * (time.process_time() - began))
            found += len(answer.faces)
    return taken, found / n


def write_resnet50(place: str, quick: str) -> None:
    """Write ResNet50 into `place` as the ONNX file that emolab makes of a trained model; in a full run in int8 too.

    What this processor makes of bfloat16 is no file of its own: OpenVINO computes the same one in it.
    """
    from benchmarks.export import built
    from emolab.training.export import formats, parity

    network, made = built("resnet50", 224)
    images = parity.synthetic(16, made.preprocessing)
    for to, precision in [("onnx", "fp32")] if quick else [("onnx", "fp32"), ("openvino", "int8")]:
        document = formats.describe(made, to=to, precision=precision, width=network.head.in_features)
        file = Path(place) / f"{precision}{formats.SUFFIX[to]}"
        formats.write(network, file, document, "", images, calibration=images if precision == "int8" else None)


def large(quick: bool) -> list[Result]:
    """CPU milliseconds of a frame with ResNet50, by each engine and precision that this machine has."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="emolab-live-") as place:
        code = "import sys; from benchmarks.live import write_resnet50; write_resnet50(*sys.argv[1:])"
        subprocess.run([sys.executable, "-c", code, place, "quick" if quick else ""], check=True)
        runners = [
            open_engine(Path(place) / "fp32.onnx", threads=1, engine=engine, exact=exact)
            for engine, exact in ([("onnx", True), ("auto", False)] if quick else ENGINES)
        ]
        if not quick:
            runners.append(open_export(Path(place) / "int8.zip", threads=1))
    models = {engine_name(runner): of_file(runner) for runner in runners}
    taken = frame_by_frame(models, 30 if quick else 300)
    base = next(iter(taken))
    for engine, spent in taken.items():
        value, (low, high) = ratio(taken, engine, base)
        rows.append(
            Result(f"cpu_ms_p95, ResNet50, {engine}", float(np.percentile(spent, 95)), "ms CPU", n=len(spent),
                   spread=(min(spent), max(spent)),
                   note=f"median {statistics.median(spent):.1f}, {value:.2f} times that of {base} "
                   f"({low:.2f} to {high:.2f}); load {os.getloadavg()[0]:.1f}; at most {LARGE_TARGET:g} wanted")
        )  # fmt: skip
    return rows


def engine_name(runner: Runner) -> str:
    """What computes, and in which precision."""
    return f"{engine_cache.ENGINES[runner.engine][1]} {runner.precision}"


def frame_by_frame(models: Mapping[str, Model], n: int) -> dict[str, list[float]]:
    """The CPU milliseconds of `n` frames with one face for each of `models`, which see them in turns."""
    looking = CollectConfig()
    streams = {name: FaceStream(model, finder_for(looking), stream_rules(looking)) for name, model in models.items()}
    taken: dict[str, list[float]] = {name: [] for name in models}
    for number, jpeg in zip(range(n + 5), cycle(film(1)), strict=False):
        for name, stream in streams.items():
            began = time.process_time()
            answer = stream.answer(number / RATE, read_jpeg(jpeg))
            json.dumps(plain(answer, stream.model.classes))
            if number < 5:
                continue
            taken[name].append(1000 * (time.process_time() - began))
            if len(answer.faces) != 1:
                raise RuntimeError(f"{len(answer.faces)} faces are found in frame {number}")
    return taken


def ages(model: Model, seconds: float) -> list[LiveAnswer]:
    """Return what left a pipeline that got a frame every thirtieth of a second, the late ones too."""
    looking = CollectConfig()
    left: list[LiveAnswer] = []
    stream = FaceStream(model, finder_for(looking), stream_rules(looking))
    frames = film(1)
    with short_pauses(), LivePipeline(stream, lambda answer: left.append(without_picture(answer))) as pipeline:
        began = pipeline.now
        for number in range(round(seconds * RATE)):
            time.sleep(max(0.0, began + number / RATE - pipeline.now))
            arrived = pipeline.now
            read = partial(read_jpeg, frames[number % len(frames)])
            pipeline.offer(ArrivedFrame(number, arrived, arrived - began, read))
    return left


def without_picture(answer: LiveAnswer) -> LiveAnswer:
    """Return `answer` without its pixels and faces, as light as it can be."""
    return replace(answer, pixels=None, answer=None, error=None if answer.is_late else "answered")


def age_rows(name: str, left: Sequence[LiveAnswer], sent: int) -> list[Result]:
    """Return rows on how old the frames were that left, and how many did not because they would have been too old."""
    shown = [each for each in left if not each.is_late]
    found = sorted(1000 * each.age for each in shown)
    limit = 1000 / RATE + SLACK
    older = sum(age > limit for age in found)
    late, dropped = len(left) - len(shown), left[-1].dropped
    lags = [1000 * each.lag for each in shown if each.lag is not None]
    note = f"{len(found)} of {sent} frames left; at most {limit:.1f} ms wanted: {older} were older"
    return [
        Result(f"age_ms_p99{name}", found[int(0.99 * (len(found) - 1))], "ms", n=len(found), note=note),
        Result(f"age_ms_max{name}", found[-1], "ms", n=len(found)),
        Result(f"age_ms_median{name}", statistics.median(found), "ms", n=len(found),
               note=f"probabilities are older by {statistics.median(lags):.0f} ms" if lags else ""),
        Result(f"late_frames{name}", late, "frames", n=sent,
               note=f"too old, so they did not leave; {dropped} more were never looked at"),
    ]  # fmt: skip


def run(quick: bool) -> list[Result]:
    """Measure the CPU time first, then the age of frames before a slow model."""
    n = 60 if quick else 900
    alone = open_model(None, "face48", threads=1, flips=False)
    model = open_model(None, "face48", threads=1)
    results = []
    for label, asked, counts in [("", model, (1, 4, 8) if quick else range(1, 9)), (", no flips", alone, (1,))]:
        for faces in counts:
            taken, found = cpu_per_frame(asked, faces, n)
            name = f"cpu_ms_p95{label}" if faces == 1 else f"cpu_ms_p95, {faces} faces{label}"
            aim = f"; at most {TARGET:g} wanted" if faces == 1 and not label else ""
            results.append(
                Result(name, float(np.percentile(taken, 95)), "ms CPU", n=n, spread=(min(taken), max(taken)),
                       note=f"median {statistics.median(taken):.1f}; {found:.1f} faces found{aim}")
            )  # fmt: skip
    results += large(quick)
    seconds = 4.0 if quick else 600.0
    before = os.getloadavg()[0]
    models: list[tuple[str, Model]] = [("", model), (", ten times slower", SlowModel(model, 10))]
    for label, aged in models:
        part = seconds if label else min(seconds, 60.0)
        results += age_rows(label, ages(aged, part), round(part * RATE))
    results.append(Result("load", before, "processes", note="of the machine, before ages were measured"))
    return results


if __name__ == "__main__":
    main(run)
