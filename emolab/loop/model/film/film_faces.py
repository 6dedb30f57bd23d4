"""The faces of a video, followed through it once."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emolab.config import Config
    from emolab.progress import Progress
    from emolab.serving.live.timeline import FaceSummary
    from emolab.serving.predictor import Model


@dataclass(frozen=True, kw_only=True)
class SeenFaces:
    """``faces`` by their tracks, small ``portraits`` of them (JPEG), ``seconds`` and ``frames`` of the video."""

    seconds: float = 0.0
    frames: int = 0
    cuts: int = 0
    faces: list[FaceSummary] = field(default_factory=list)
    portraits: dict[int, bytes] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def watch_faces(
    video: Path, model: Model | None, config: Config, *, smooth: float, portraits: bool, progress: Progress
) -> SeenFaces:
    """What the faces of ``video`` show to ``model``; without one only how long it is.

    Raises :class:`DataError` for a file that is no video.
    """
    from emolab.loop.model.predict_video import watch_video
    from emolab.loop.model.predicting.video_faces import Portraits
    from emolab.serving.live.face_stream import FaceStream, finder_for, stream_rules
    from emolab.serving.live.frame_sources import VideoSource
    from emolab.serving.live.timeline import TimelineSummary

    source = VideoSource(str(video))
    length = source.seconds()  # says now when it is no video
    if model is None:
        return SeenFaces(seconds=length or 0.0)
    looking = config.collect
    stream = FaceStream(model, finder_for(looking), stream_rules(looking, smooth=smooth, detect_every=0.0))
    summary, taken = TimelineSummary(), Portraits()
    with progress.task("Watching", None if length is None else max(1, round(length)), unit="s") as bar:
        watch_video(source, stream, summary, writer=None, portraits=taken if portraits else None, bar=bar)
    return SeenFaces(
        seconds=max(summary.seconds, length or 0.0),
        frames=summary.frames,
        cuts=summary.cuts,
        faces=summary.tracks(),
        portraits=taken.found,
        notes=source.notes,
    )
