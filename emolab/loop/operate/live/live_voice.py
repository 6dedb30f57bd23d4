"""A model of voices listens: to a microphone, or to a file of sound or video."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from emolab.results import Result, Share, Table
from emolab.words import short

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from emolab.inference.served_model import ServedModel
    from emolab.serving.hearing.sound_sources import SoundSource
    from emolab.serving.hearing.voice_stream import WindowAnswer
    from emolab.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Listened(Result):
    """What listening came to: ``windows`` answered, of which ``voiced`` held a voice and were judged.

    ``labels`` counts the likeliest class of each of those, ``probs`` are their mean probabilities (``None`` without
    any). ``dropped`` windows were overtaken by newer ones. ``age_ms`` has the median, the 95th percentile and the
    largest time from the end of a window to its answer. ``heard`` are seconds of sound, ``seconds`` those that passed.
    """

    source: str
    model: str
    engine: str
    precision: str
    classes: tuple[str, ...]
    seconds: float
    heard: float
    windows: int
    voiced: int
    dropped: int
    labels: dict[str, int]
    probs: dict[str, float] | None
    age_ms: dict[str, float | None]
    timeline: Path | None = None
    notes: list[str] = field(default_factory=list)

    def tables(self) -> list[Table]:
        """One row a class: in how many windows it was the likeliest, and its mean probability."""
        rows = [
            (name, self.labels.get(name, 0), Share(self.probs[name]) if self.probs else None) for name in self.classes
        ]
        title = f"{self.source}: {self.voiced:,} of {self.windows:,} windows with a voice, model {short(self.model)}"
        return [Table(title, ("class", "windows", "mean"), rows)]


@dataclass(frozen=True, kw_only=True)
class ListenRequest:
    """What to listen to, in windows of which length, what to write, and when to end."""

    source: str | None
    microphone: bool
    window: float | None = None
    hop: float | None = None
    timeline: Path | None = None
    seconds: float | None = None


def model_for_source(workspace: Workspace | None, source: str | None, *, microphone: bool) -> str:
    """The champion, where there is none the model that comes with emolab for what is looked at or heard.

    Raises :class:`ConfigError` where this emolab brings none for voices, :class:`DataError` where none for faces.
    """
    from emolab.errors import ConfigError, DataError
    from emolab.loop.model.models import default_model
    from emolab.modalities.audio.sound_names import SOUNDS

    if not microphone and (source is None or Path(source).suffix.lower() not in SOUNDS):
        return default_model(workspace, "image")
    try:
        return default_model(workspace, "audio")
    except DataError as error:
        raise ConfigError(
            "There is no model of voices here.",
            hint=f"Name one after the source: emolab live {'--microphone default' if microphone else source} MODEL",
        ) from error


def refuse_windows(window: float | None, hop: float | None) -> None:
    """Raise :class:`ConfigError` where windows of sound are asked of a model of faces."""
    from emolab.errors import ConfigError

    given = [f"--{name}" for name, value in (("window", window), ("hop", hop)) if value is not None]
    if given:
        raise ConfigError(
            f"{' and '.join(given)} can be given for voices only, and this model answers about faces.",
            hint="Name a model of voices: emolab live --microphone default MODEL",
        )


def listen(
    model: ServedModel,
    wanted: ListenRequest,
    only_faces: Mapping[str, object],
    *,
    stopped: Callable[[], bool],
    on_window: Callable[[WindowAnswer], None],
) -> Listened:
    """Answer about every window with a voice. ``only_faces`` are options that must not have been given.

    Raises :class:`ConfigError` for what does not go together, :class:`DataError` for a file that is no sound,
    :class:`EmolabError` without such a microphone.
    """
    from emolab.loop.given import check_given
    from emolab.modalities.preparing import require_voices
    from emolab.serving.hearing.sound_windows import WindowRules
    from emolab.serving.hearing.voice_stream import VoiceStream

    if wanted.microphone:
        require_voices(model.preprocessing, "--microphone")
    _refuse_faces(only_faces)
    check_given({"option.window": wanted.window, "option.hop": wanted.hop, "option.seconds": wanted.seconds})
    given = {name: value for name, value in (("window", wanted.window), ("hop", wanted.hop)) if value is not None}
    stream = VoiceStream(model, WindowRules(**given))
    source = _source(wanted)
    counts = _Counts(len(model.classes))
    began = time.monotonic()
    with _written(wanted.timeline, model.classes) as write:
        for answer in stream.answers(source):
            if answer is not None:
                counts.add(answer)
                write(answer)
                on_window(answer)
            if stopped() or (wanted.seconds is not None and time.monotonic() - began >= wanted.seconds):
                break
    return counts.told(model, stream, source, seconds=round(time.monotonic() - began, 3), timeline=wanted.timeline)


def _refuse_faces(given: Mapping[str, object]) -> None:
    from emolab.errors import ConfigError

    named = [f"--{name.replace('_', '-')}" for name, value in given.items() if value is not None]
    if named:
        raise ConfigError(f"{' and '.join(named)} can be given for faces only, and this model answers about voices.")


def _source(wanted: ListenRequest) -> SoundSource:
    """What is to be heard. Raises :class:`ConfigError` for a camera, an address or nothing at all."""
    from emolab.errors import ConfigError, DataError
    from emolab.modalities.audio.microphone_device import DEFAULT
    from emolab.serving.hearing.sound_sources import FileSource, MicrophoneSource

    source = wanted.source
    if wanted.microphone:
        return MicrophoneSource(source or DEFAULT)
    if source is None or source.isdigit() or "://" in source:
        what = "The camera of a page" if source is None else f"{source}, a camera,"
        raise ConfigError(
            f"{what} says nothing to a model of voices.",
            hint=f"It hears a microphone or a file: emolab live --microphone {DEFAULT} MODEL, emolab live FILE MODEL",
        )
    if not Path(source).exists():
        raise DataError(f"There is no {source}.", hint="SOURCE is a file of sound or video, or give --microphone.")
    return FileSource(source)


class _Counts:
    """What was answered; its memory does not grow with the length of the stream."""

    def __init__(self, k: int) -> None:
        import numpy as np

        self.windows = 0
        self.best: Counter[int] = Counter()
        self.ages: Counter[int] = Counter()  # by tenths of a millisecond
        self.sums: NDArray[np.float64] = np.zeros(k)

    def add(self, answer: WindowAnswer) -> None:
        self.windows += 1
        self.ages[round(10_000 * answer.age)] += 1
        if answer.probs is not None:
            self.best[int(answer.probs.argmax())] += 1
            self.sums += answer.probs

    def told(
        self, model: ServedModel, stream: Any, source: SoundSource, *, seconds: float, timeline: Path | None
    ) -> Listened:
        voiced = self.best.total()
        means = (self.sums / voiced).tolist() if voiced else None
        return Listened(
            source=source.name,
            model=model.id,
            engine=model.runner.engine,
            precision=model.runner.precision,
            classes=model.classes,
            seconds=seconds,
            heard=round(stream.seconds, 3),
            windows=self.windows,
            voiced=voiced,
            dropped=stream.dropped,
            labels={model.classes[place]: n for place, n in self.best.most_common()},
            probs=None if means is None else {c: round(p, 5) for c, p in zip(model.classes, means, strict=True)},
            age_ms={"median": self._age(0.5), "p95": self._age(0.95), "largest": self._age(1.0)},
            timeline=timeline,
            notes=list(source.notes),
        )

    def _age(self, share: float) -> float | None:
        """The age in milliseconds that ``share`` of the windows did not exceed."""
        left = share * self.windows
        for age, n in sorted(self.ages.items()):
            left -= n
            if left <= 1e-9:
                return age / 10
        return None


@contextmanager
def _written(timeline: Path | None, classes: tuple[str, ...]) -> Iterator[Callable[[WindowAnswer], None]]:
    """What writes rows to ``timeline``, whose ending was checked before."""
    from emolab.serving.hearing.voice_stream import WindowWriter
    from emolab.serving.live.timeline import FORMS

    if timeline is None:
        yield lambda _: None
        return
    timeline.parent.mkdir(parents=True, exist_ok=True)
    stream: TextIO
    with timeline.open("w", encoding="utf-8", newline="") as stream:
        yield WindowWriter(stream, FORMS[timeline.suffix.lower()], classes).write
