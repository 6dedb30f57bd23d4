"""A trained model says what the faces of a video show, over its time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from emolab.progress import SILENT
from emolab.results import Result, Share, Table
from emolab.words import short

if TYPE_CHECKING:
    from emolab.config import Config
    from emolab.inference.served_model import ServedModel
    from emolab.loop.model.predicting.video_faces import Portraits
    from emolab.progress import Progress, Task
    from emolab.serving.live.face_stream import FaceStream
    from emolab.serving.live.frame_sources import VideoSource
    from emolab.serving.live.timeline import FaceSummary, TimelineSummary, TimelineWriter
    from emolab.workspace import Workspace

#: Endings of names that are taken for videos.
SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".wmv", ".3gp")


@dataclass(frozen=True, kw_only=True)
class VideoPredicted(Result):
    """What ``model`` (id) says about a video: the ``faces``, each with its time and mean probabilities.

    ``rows`` (a face of a frame each) were written to ``timeline``. ``damaged`` frames were left out; ``notes`` tell
    what was wrong with the file.
    """

    model: str
    classes: tuple[str, ...]
    file: str
    seconds: float
    frames: int
    rows: int
    cuts: int
    damaged: int
    faces: list[dict[str, Any]]
    notes: list[str] = field(default_factory=list)
    timeline: Path | None = None
    report: Path | None = None

    def tables(self) -> list[Table]:
        """One row a face: when it was there, and what it showed most."""
        rows = [
            (one["track"], f"{one['first']:.1f} s", f"{one['last']:.1f} s", one["frames"], one["label"],
             Share(one["confidence"]))
            for one in self.faces
        ]  # fmt: skip
        columns = ("face", "from", "to", "frames", "mostly", "mean")
        return [Table(f"{self.file}: {self.frames:,} frames, model {short(self.model)}", columns, rows)]


def is_video(path: str | Path) -> bool:
    """Whether ``path`` is called like a video."""
    return Path(path).suffix.lower() in SUFFIXES


def judges_words(model: str | Path) -> bool:
    """Whether the folder ``model`` holds a model of sentences, which answers for what is said in a video."""
    from emolab.modalities.own_models import own_document

    return own_document(Path(model)) is not None


def predict_video(
    model: str | Path,
    video: str | Path,
    *,
    workspace: Workspace | None = None,
    config: Config | None = None,
    smooth: float = 0.5,
    flips: bool | None = None,
    device: str | None = None,
    timeline: Path | TextIO | None = None,
    form: str | None = None,
    report: Path | None = None,
    progress: Progress = SILENT,
) -> VideoPredicted:
    """Follow the faces of ``video`` and classify each in every frame with ``model`` (as :func:`predict` takes it).

    ``smooth`` is the time constant, in seconds, over which probabilities are averaged (0: not at all). ``device`` is
    cpu, cuda or tensorrt [cpu]. ``timeline`` gets a row for each face of each frame, as ``form``: csv or jsonl [by its
    name]. ``report`` is a page with the time of each face. Damaged frames are left out and counted. However long the
    video is, memory does not grow with it.
    Raises :class:`DataError` for a file that is no video.
    """
    from emolab.config import Config
    from emolab.loop.model.open_model import open_model
    from emolab.loop.model.predicting.video_faces import Portraits
    from emolab.loop.model.predicting.video_report import write_report
    from emolab.serving.live.face_stream import FaceStream, finder_for, stream_rules
    from emolab.serving.live.frame_sources import VideoSource
    from emolab.serving.live.timeline import TimelineSummary, TimelineWriter

    config = config or (Config() if workspace is None else workspace.config)
    kind, source = _form(timeline, form), VideoSource(str(video))
    length = source.seconds()  # says now when it is no video
    looking, how = config.collect, config.training
    opened = open_model(
        workspace, model, threads=how.threads, flips=flips, engine=how.engine, device=device, progress=progress
    )
    _check_faces(opened, video)
    stream = FaceStream(opened, finder_for(looking), stream_rules(looking, smooth=smooth, detect_every=0.0))
    summary, portraits = TimelineSummary(), Portraits()
    with _written(timeline) as out, progress.task("Watching", _total(length), unit="s") as bar:
        writer = None if out is None else TimelineWriter(out, kind, opened.classes)
        watch_video(source, stream, summary, writer=writer, portraits=portraits if report else None, bar=bar)
    done = VideoPredicted(
        model=opened.id,
        classes=opened.classes,
        file=str(video),
        seconds=round(max(summary.seconds, length or 0.0), 3),
        frames=summary.frames,
        rows=summary.faces,
        cuts=summary.cuts,
        damaged=source.damaged,
        faces=[_told(face, opened.classes) for face in summary.tracks()],
        notes=source.notes,
        timeline=timeline if isinstance(timeline, Path) else None,
        report=report,
    )
    if report is not None:
        write_report(report, done, summary.tracks(), portraits.found)
    return done


def _check_faces(model: ServedModel, video: str | Path) -> None:
    """Raise :class:`ConfigError` for a model of voices, whose way to a video is another one."""
    from emolab.errors import ConfigError

    if model.preprocessing.has_voices:
        raise ConfigError(
            "This model answers about voices, and here a video is looked at for its faces.",
            hint=f"Judge its voice too: emolab predict {video} --voice MODEL",
        )


def watch_video(
    source: VideoSource,
    stream: FaceStream,
    summary: TimelineSummary,
    *,
    writer: TimelineWriter | None,
    portraits: Portraits | None,
    bar: Task,
) -> None:
    """Go through the video once."""
    from emolab.serving.live.timeline import answers

    told = 0
    for frame, answer in answers(source, stream):
        summary.add(answer)
        if writer is not None:
            writer.write(answer)
        if portraits is not None:
            portraits.see(frame.pixels, answer)
        if answer.seconds >= told + 1:
            bar.advance(int(answer.seconds) - told)
            told = int(answer.seconds)


def _total(seconds: float | None) -> int | None:
    return None if seconds is None else max(1, round(seconds))


def _told(face: FaceSummary, classes: Iterable[str]) -> dict[str, Any]:
    """One face, ready for JSON."""
    probs = {name: round(float(p), 5) for name, p in zip(classes, face.probs, strict=True)}
    label = max(probs, key=lambda name: probs[name])
    return {
        "track": face.track,
        "first": round(face.first, 3),
        "last": round(face.last, 3),
        "frames": face.frames,
        "label": label,
        "confidence": probs[label],
        "probs": probs,
    }


def _form(timeline: Path | TextIO | None, form: str | None) -> str:
    """csv or jsonl. Raises :class:`ConfigError` for a name whose ending says neither."""
    from emolab.errors import ConfigError
    from emolab.serving.live.timeline import FORMS

    found = form or (FORMS.get(timeline.suffix.lower()) if isinstance(timeline, Path) else "jsonl")
    if found not in FORMS.values():
        raise ConfigError(
            f"{timeline} says no form of a timeline.", hint=f"Give it a name that ends in {' or '.join(FORMS)}."
        )
    return str(found)


@contextmanager
def _written(timeline: Path | TextIO | None) -> Iterator[TextIO | None]:
    """The stream to write a timeline to."""
    if not isinstance(timeline, Path):
        yield timeline
        return
    timeline.parent.mkdir(parents=True, exist_ok=True)
    with timeline.open("w", encoding="utf-8", newline="") as stream:
        yield stream
