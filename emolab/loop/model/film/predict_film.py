"""Faces, voice and words of one video: each by its own model, then put together turn by turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emolab.loop.model.film.film_turns import FACE, VOICE, WORDS
from emolab.progress import SILENT
from emolab.results import Result, Share, Table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from emolab.config import Config
    from emolab.loop.model.film.film_models import FilmModels
    from emolab.loop.model.film.film_turns import Turn
    from emolab.progress import Progress
    from emolab.serving.live.timeline import FaceSummary
    from emolab.stats.fusion import Fuser
    from emolab.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class FilmPredicted(Result):
    """What the channels say of the video ``file``: ``models`` maps each channel to the id of its model.

    ``classes`` are those of all channels together; ``weights`` is how much each channel counts. Of every one of
    ``faces`` track, times, frames and mean probabilities; of each of ``turns`` when, who, what was said, what each
    channel says and what all say together; of ``speakers`` the mean over their turns.
    """

    file: str
    seconds: float
    classes: tuple[str, ...]
    models: dict[str, str | None]
    weights: dict[str, float]
    frames: int
    faces: list[dict[str, Any]]
    turns: list[dict[str, Any]]
    speakers: list[dict[str, Any]]
    notes: list[str] = field(default_factory=list)
    report: Path | None = None

    def tables(self) -> list[Table]:
        """One row a turn: when, who, what each channel says and what all say together."""
        names = [name for name, model in self.models.items() if model is not None]
        rows = [
            (f"{turn['begin']:.1f} s", f"{turn['end']:.1f} s", turn["speaker"],
             *((turn["said"].get(name) or {}).get("label") for name in names),
             turn["label"], None if turn["confidence"] is None else Share(turn["confidence"]), turn["text"])
            for turn in self.turns
        ]  # fmt: skip
        return [Table(f"{self.file}: turns", ("from", "to", "who", *names, "together", "p", "said"), rows)]


@dataclass(frozen=True, kw_only=True)
class ChannelChoice:
    """The models by name, ``none`` to leave a channel out, ``None`` for what is there; and the ``transcript``."""

    face: str | None = None
    voice: str | None = None
    words: str | None = None
    transcript: Path | None = None
    weights: Mapping[str, float] = field(default_factory=dict)


def predict_film(
    video: str | Path,
    *,
    workspace: Workspace | None = None,
    config: Config | None = None,
    face: str | None = None,
    voice: str | None = None,
    words: str | None = None,
    transcript: str | Path | None = None,
    weights: Mapping[str, float] | None = None,
    device: str | None = None,
    report: str | Path | None = None,
    progress: Progress = SILENT,
) -> FilmPredicted:
    """Judge faces, voice and words of ``video``, and put together what they say of each turn.

    ``face`` [face48], ``voice`` [the champion of a workspace of voices, else voice16] and ``words`` [the champion of a
    workspace of sentences] name models; ``none`` leaves a channel out. ``transcript`` is a file of captions (.srt,
    .vtt, .jsonl); without one a local whisper writes it, where ``collect.transcriber`` names its folder. ``weights``
    maps channels to how much they count [1 each]. ``report`` is a page of it.
    Raises :class:`DataError` for what is no video, has no sound, or no such transcript.
    """
    from emolab.config import Config
    from emolab.loop.model.film.film_models import open_models
    from emolab.modalities.image.image_names import IMAGE_FILES

    settings = config or (Config() if workspace is None else workspace.config)
    path = Path(video)
    _check_film(path, IMAGE_FILES.videos)
    choice = ChannelChoice(
        face=face, voice=voice, words=words, transcript=None if transcript is None else Path(transcript),
        weights=weights or {},
    )  # fmt: skip
    models = open_models(workspace, choice, settings, device=device, progress=progress)
    return watch_film(path, models, settings, report=None if report is None else Path(report), progress=progress)


def watch_film(
    video: Path,
    models: FilmModels,
    config: Config,
    *,
    smooth: float = 0.5,
    report: Path | None = None,
    progress: Progress = SILENT,
) -> FilmPredicted:
    """The same with ``models`` that are open already."""
    from emolab.loop.model.film.film_faces import watch_faces
    from emolab.loop.model.film.film_report import write_film_report
    from emolab.loop.model.film.film_turns import make_turns
    from emolab.loop.model.film.film_voice import voice_stretches
    from emolab.loop.model.film.film_words import judged_captions

    notes = list(models.notes)
    voices = list(voice_stretches(video, models.voice, notes)) if models.hears else []
    captions = judged_captions(video, models, notes, masking=config.collect.masking, progress=progress)
    seen = watch_faces(video, models.face, config, smooth=smooth, portraits=report is not None, progress=progress)
    notes += seen.notes
    fuser = models.fuser()
    turns = make_turns(seen.faces, voices, captions, fuser, looked=models.face is not None)
    if models.face is not None and not seen.faces:
        notes.append("no face is found in it")
    ends = [seen.seconds, *(turn.end for turn in turns)]
    done = FilmPredicted(
        file=str(video),
        seconds=round(max(ends), 3),
        classes=fuser.classes,
        models=models.ids(),
        weights={channel.name: channel.weight for channel in fuser.channels},
        frames=seen.frames,
        faces=[_face(one, models) for one in seen.faces],
        turns=[_turn(turn, models, fuser) for turn in turns],
        speakers=_speakers(turns, fuser),
        notes=notes,
        report=report,
    )
    if report is not None:
        write_film_report(report, done, seen, turns, models)
    return done


def _check_film(path: Path, suffixes: frozenset[str]) -> None:
    """Raise :class:`DataError` for what is not there, or a video not even by its name."""
    from emolab.errors import DataError
    from emolab.modalities.audio.sound_names import SOUNDS

    if not path.is_file():
        raise DataError(f"There is no video {path}." if not path.exists() else f"{path} is a folder, not a video.")
    if path.suffix.lower() in SOUNDS:
        raise DataError(f"{path} is a sound, not a video.", hint=f"Listen to it: emolab live {path} MODEL")
    if path.suffix.lower() not in suffixes:
        raise DataError(f"{path} is no video by its name.", hint=f"It ends in one of: {', '.join(sorted(suffixes))}.")


def _named(probs: NDArray[np.floating[Any]], classes: Sequence[str]) -> dict[str, Any]:
    """Probabilities with the likeliest class, ready for JSON."""
    best = int(probs.argmax())
    return {
        "label": classes[best],
        "confidence": round(float(probs[best]), 5),
        "probs": {name: round(float(p), 5) for name, p in zip(classes, probs, strict=True)},
    }


def _face(face: FaceSummary, models: FilmModels) -> dict[str, Any]:
    return {
        "track": face.track,
        "first": round(face.first, 3),
        "last": round(face.last, 3),
        "frames": face.frames,
        **_named(face.probs, models.classes_of(FACE)),
    }


def _turn(turn: Turn, models: FilmModels, fuser: Fuser) -> dict[str, Any]:
    nothing: dict[str, Any] = {"label": None, "confidence": None, "probs": None}
    return {
        "begin": round(turn.begin, 3),
        "end": round(turn.end, 3),
        "speaker": turn.speaker,
        "text": turn.text,
        "face": turn.face,
        "no_face": turn.why,
        "said": {
            name: _named(turn.said[name], models.classes_of(name)) if name in turn.said else None
            for name in (FACE, VOICE, WORDS)
        },
        **(nothing if turn.together is None else _named(turn.together, fuser.classes)),
    }


def _speakers(turns: Sequence[Turn], fuser: Fuser) -> list[dict[str, Any]]:
    """Whoever spoke, in the order of their first turns; those of whom nothing tells who speaks come last."""
    import numpy as np

    found: dict[str | None, list[Turn]] = {}
    for turn in turns:
        found.setdefault(turn.speaker, []).append(turn)
    told = []
    for name, own in sorted(found.items(), key=lambda item: item[0] is None):
        judged = [turn for turn in own if turn.together is not None]
        seconds = np.array([turn.end - turn.begin for turn in judged]) + 1e-9
        rows = [turn.together for turn in judged if turn.together is not None]
        mean = seconds @ np.stack(rows) / seconds.sum() if rows else None
        told.append(
            {
                "speaker": name,
                "turns": len(own),
                "seconds": round(sum(turn.end - turn.begin for turn in own), 3),
                "faces": sorted({turn.face for turn in own if turn.face is not None}),
                **({"label": None, "confidence": None, "probs": None} if mean is None else _named(mean, fuser.classes)),
            }
        )
    return told
