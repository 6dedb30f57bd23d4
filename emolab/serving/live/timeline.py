"""The timeline of a stream: a row for each face of each frame, as CSV or JSON lines, and what it comes to per face."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np
from numpy.typing import NDArray

from emolab.serving.live.frame_answers import FrameAnswer, TrackedFace, best, named

if TYPE_CHECKING:
    from emolab.serving.live.face_stream import FaceStream
    from emolab.serving.live.frame_sources import FrameSource, TimedFrame

#: Seconds of the finest part of a summary; parts double where there would be more than ``_PARTS`` of them.
_PART, _PARTS = 0.1, 3000
#: Endings of a file's name -> the form of the timeline in it.
FORMS = {".csv": "csv", ".jsonl": "jsonl"}


class TimelineWriter:
    """Writes rows to ``stream`` as they come, as ``form``: csv or jsonl."""

    def __init__(self, stream: TextIO, form: str, classes: Sequence[str]) -> None:
        self._stream, self._form, self._classes = stream, form, tuple(classes)
        self._csv = csv.writer(stream, lineterminator="\n") if form == "csv" else None
        if self._csv is not None:
            probs = [f"{name} {kind}" for kind in ("now", "smoothed") for name in self._classes]
            head = ["seconds", "track", "x", "y", "width", "height", "score", "label", "confidence", *probs]
            self._csv.writerow(head)

    def write(self, answer: FrameAnswer) -> int:
        """Add the rows of ``answer``; how many there were."""
        for face in answer.faces:
            if self._csv is None:
                self._stream.write(json.dumps(row_of(answer, face, self._classes)) + "\n")
            else:
                self._csv.writerow(self._cells(answer, face))
        return len(answer.faces)

    def _cells(self, answer: FrameAnswer, face: TrackedFace) -> list[Any]:
        shown = best(face, self._classes)
        empty = [""] * len(self._classes)
        probs = [
            cell
            for row in (face.probs, face.smoothed)
            for cell in (empty if row is None else [f"{p:.5f}" for p in row.tolist()])
        ]
        label, confidence = ("", "") if shown is None else (shown[0], f"{shown[1]:.5f}")
        score = "" if face.score is None else f"{face.score:.4f}"
        return [f"{answer.seconds:.4f}", face.track, *face.box, score, label, confidence, *probs]


def row_of(answer: FrameAnswer, face: TrackedFace, classes: Sequence[str]) -> dict[str, Any]:
    """One face of one frame, ready for JSON."""
    shown = best(face, classes)
    return {
        "seconds": round(answer.seconds, 4),
        "track": face.track,
        "box": list(face.box),
        "score": None if face.score is None else round(face.score, 4),
        "label": None if shown is None else shown[0],
        "confidence": None if shown is None else round(shown[1], 5),
        "probs": named(face.probs, classes),
        "smoothed": named(face.smoothed, classes),
    }


def answers(source: FrameSource, stream: FaceStream) -> Iterator[tuple[TimedFrame, FrameAnswer]]:
    """Every frame of ``source`` with its answer; nothing is held from one to the next but what tracks need."""
    for frame in source:
        yield frame, stream.answer(frame.seconds, frame.pixels)


@dataclass(slots=True)
class _Part:
    """A stretch of a track: how many frames, and the sums of their times and smoothed probabilities."""

    n: int = 0
    seconds: float = 0.0
    probs: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    def add(self, n: int, seconds: float, probs: NDArray[np.float64]) -> None:
        self.n += n
        self.seconds += seconds
        self.probs = probs.copy() if not self.probs.size else self.probs + probs


@dataclass(frozen=True, kw_only=True)
class FaceSummary:
    """One face: its ``track``, when it was ``first`` and ``last`` seen, in how many ``frames``, and mean ``probs``.

    ``times`` (m,) and ``shares`` (m, k) are its smoothed probabilities over time, in parts of some length.
    """

    track: int
    first: float
    last: float
    frames: int
    probs: NDArray[np.float64]
    times: NDArray[np.float64]
    shares: NDArray[np.float64]

    @property
    def step(self) -> float:
        """The usual seconds between two of its ``times``; 0.1 for a face with one."""
        return float(np.median(np.diff(self.times))) if len(self.times) > 1 else 0.1

    def runs(self, *, gap: float) -> list[ClassRun]:
        """Its time in the pieces in which one class was ahead; ``gap`` seconds without the face begin a new one."""
        found: list[ClassRun] = []
        best, step = self.shares.argmax(axis=1), self.step
        breaks = (np.diff(best) != 0) | (np.diff(self.times) > gap + 1.5 * step)
        for part in np.split(np.arange(len(self.times)), np.flatnonzero(breaks) + 1):
            begin, end = float(self.times[part[0]]) - step / 2, float(self.times[part[-1]]) + step / 2
            place = int(best[part[0]])
            found.append(ClassRun(max(0.0, begin), end, place, float(self.shares[part, place].mean())))
        return found


@dataclass(frozen=True, slots=True)
class ClassRun:
    """From second ``begin`` to ``end`` the class at ``place`` was the likeliest, with ``share`` on average."""

    begin: float
    end: float
    place: int
    share: float


class TimelineSummary:
    """What a timeline comes to; its memory has a bound, however long it is."""

    def __init__(self) -> None:
        self.frames = self.faces = self.cuts = 0
        self.seconds = 0.0
        self._width = _PART
        self._parts: dict[tuple[int, int], _Part] = {}
        self._spans: dict[int, tuple[float, float, int]] = {}

    def add(self, answer: FrameAnswer) -> None:
        """Count ``answer`` in."""
        self.frames += 1
        self.faces += len(answer.faces)
        self.cuts += answer.cut
        self.seconds = answer.seconds
        for face in answer.faces:
            first, _, n = self._spans.get(face.track, (answer.seconds, 0.0, 0))
            self._spans[face.track] = (first, answer.seconds, n + 1)
            if face.smoothed is not None:
                key = (face.track, int(answer.seconds / self._width))
                part = self._parts.setdefault(key, _Part())
                part.add(1, answer.seconds, face.smoothed.astype(np.float64))
        if len(self._parts) > max(_PARTS, 2 * len(self._spans)):
            self._coarser()

    def tracks(self) -> list[FaceSummary]:
        """The faces, by their numbers."""
        by_track: dict[int, list[_Part]] = {}
        for (track, _), part in sorted(self._parts.items()):
            by_track.setdefault(track, []).append(part)
        found = []
        for track, parts in by_track.items():
            first, last, frames = self._spans[track]
            n = np.array([part.n for part in parts], dtype=np.float64)
            sums = np.stack([part.probs for part in parts])
            found.append(
                FaceSummary(
                    track=track,
                    first=first,
                    last=last,
                    frames=frames,
                    probs=sums.sum(axis=0) / n.sum(),
                    times=np.array([part.seconds for part in parts]) / n,
                    shares=sums / n[:, None],
                )
            )
        return found

    def _coarser(self) -> None:
        self._width *= 2
        before, self._parts = self._parts, {}
        for (track, place), part in before.items():
            self._parts.setdefault((track, place // 2), _Part()).add(part.n, part.seconds, part.probs)
