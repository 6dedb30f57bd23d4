"""A model looks at a live picture (a camera, a video, an address, a browser's camera), or listens to a voice."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from emolab.loop.operate.live.live_session import LiveSession
from emolab.progress import SILENT
from emolab.results import Result

if TYPE_CHECKING:
    from emolab.config import CollectConfig, Config
    from emolab.inference.served_model import ServedModel
    from emolab.loop.operate.live.live_collecting import PoolCollector
    from emolab.loop.operate.live.live_page import BrowserPage, PageRequest
    from emolab.loop.operate.live.live_session import Listener, LiveStatus
    from emolab.loop.operate.live.live_voice import Listened
    from emolab.progress import Progress
    from emolab.serving.hearing.voice_stream import WindowAnswer
    from emolab.serving.live.face_stream import FaceStream
    from emolab.serving.live.frame_sources import FrameSource
    from emolab.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Lived(Result):
    """What a live session came to. ``dropped`` frames were left for newer ones before anybody looked at them, ``late``
    ones after. ``age_ms`` has the median and the 95th percentile of the ages of all others when they left;
    ``collected`` what was kept for voting, ``None`` without --collect-uncertain. ``engine`` (onnx or openvino)
    computed the model, in ``precision`` (fp32, bf16 or int8).
    """

    source: str
    model: str
    engine: str
    precision: str
    classes: tuple[str, ...]
    seconds: float
    frames: int
    dropped: int
    late: int
    damaged: int
    faces: int
    age_ms: dict[str, float | None]
    fps: float
    collected: dict[str, object] | None = None
    recording: Path | None = None
    timeline: Path | None = None
    notes: list[str] = field(default_factory=list)


def live(
    source: str | None = None,
    model: str | Path | None = None,
    *,
    workspace: Workspace | None = None,
    config: Config | None = None,
    host: str | None = None,
    port: int | None = None,
    tls: str | None = None,
    record: Path | None = None,
    timeline: Path | None = None,
    microphone: bool = False,
    window: float | None = None,
    hop: float | None = None,
    smooth: float | None = None,
    flips: bool | None = None,
    device: str | None = None,
    collect_uncertain: bool = False,
    consent: str | None = None,
    seconds: float | None = None,
    stopped: Callable[[], bool] = lambda: False,
    on_status: Callable[[LiveStatus], None] = lambda _: None,
    on_page: Callable[[BrowserPage], None] = lambda _: None,
    on_window: Callable[[WindowAnswer], None] = lambda _: None,
    progress: Progress = SILENT,
) -> Lived | Listened:
    """Look at ``source`` (a camera's number, a video, an address) or, without one, serve a page with its own camera.

    ``model`` as :func:`predict` takes it [champion, else face48], on ``device``: cpu, cuda, tensorrt [cpu]. ``record``
    gets the picture with boxes and bars, ``timeline`` (.csv, .jsonl) a row for each face of each frame. Probabilities
    are averaged over ``smooth`` seconds [0.5]. With ``collect_uncertain`` frames that deserve a vote are kept;
    ``consent`` is what the people in them agreed to, and is shown to them. A model of voices hears a file, or with
    ``microphone`` the device that ``source`` names: ``window`` seconds [4.1] every ``hop`` [1], of each of which
    ``on_window`` is told. It ends after ``seconds``, with the source, or when ``stopped`` says so; ``host``, ``port``,
    ``tls`` (``self`` or ``CERT,KEY``) are of the page.
    Raises :class:`ConfigError` for what does not go together, :class:`EmolabError` where there is no such device.
    """
    from emolab.config import Config
    from emolab.loop.operate.live import live_voice
    from emolab.loop.operate.live.live_page import PageRequest

    collecting = _checked(
        source, workspace, collect_uncertain, consent, microphone=microphone, record=record, timeline=timeline
    )
    config = config or (Config() if workspace is None else workspace.config)
    model = model or live_voice.model_for_source(workspace, source, microphone=microphone)
    opened = _opened(workspace, model, config, flips=flips, device=device, progress=progress)
    if microphone or opened.preprocessing.has_voices:
        only_faces = {"record": record, "smooth": smooth, "collect_uncertain": collect_uncertain or None}
        wanted = live_voice.ListenRequest(
            source=source, microphone=microphone, window=window, hop=hop, timeline=timeline, seconds=seconds
        )
        return live_voice.listen(opened, wanted, only_faces, stopped=stopped, on_window=on_window)
    live_voice.refuse_windows(window, hop)
    asked = collecting[1] if collecting else None
    page = PageRequest(host=host, port=port, tls=tls, consent=asked, model_name=Path(model).name)
    looking = _Looking(opened, config.collect, 0.5 if smooth is None else smooth, record, timeline, page, on_page)
    session = LiveSession(opened.classes, seconds=seconds, stopped=stopped, on_status=on_status)
    return _look(session, source, looking, collecting)


@dataclass(frozen=True)
class _Looking:
    """What looks at faces and how, what is written, and the page where no source is given."""

    model: ServedModel
    collect: CollectConfig
    smooth: float
    record: Path | None
    timeline: Path | None
    page: PageRequest
    on_page: Callable[[BrowserPage], None]

    def stream(self) -> FaceStream:
        """A new stream of frames."""
        from emolab.serving.live.face_stream import FaceStream, finder_for, stream_rules

        return FaceStream(self.model, finder_for(self.collect), stream_rules(self.collect, smooth=self.smooth))


def _look(
    session: LiveSession,
    source: str | None,
    looking: _Looking,
    collecting: tuple[Workspace, str] | None,
) -> Lived:
    """Answer about the faces before ``source``, or those that a page sends, until the ``session`` is over."""
    from emolab.loop.operate.live.live_collecting import PoolCollector
    from emolab.loop.operate.live.live_page import serve_page
    from emolab.loop.operate.live.live_session import watch
    from emolab.serving.live.frame_sources import open_source

    looked: FrameSource | None = None
    with ExitStack() as stack:
        pool = stack.enter_context(PoolCollector(*collecting)) if collecting else None
        listeners = _listeners(session, pool)
        if source is None:
            serve_page(session, looking.stream, listeners, looking.page, looking.on_page)
        else:
            looked = open_source(source)
            watch(session, looked, looking.stream, listeners, record=looking.record, timeline=looking.timeline)
    return _lived(session, looking.model, looked, pool, recording=looking.record, timeline=looking.timeline)


def _opened(
    workspace: Workspace | None,
    model: str | Path,
    config: Config,
    *,
    flips: bool | None,
    device: str | None,
    progress: Progress,
) -> ServedModel:
    """``model`` for frames: on one core where no other number is set, and in bfloat16 where that is a large gain."""
    from emolab.loop.model.open_model import open_model

    settings = config.training
    return open_model(
        workspace,
        model,
        threads=settings.threads or 1,
        flips=flips,
        engine=settings.engine,
        exact=False,
        device=device,
        alone="emolab live",
        progress=progress,
    )


def _listeners(session: LiveSession, pool: PoolCollector | None) -> list[Listener]:
    """Who hears of every answer; a session whose frames can no longer be kept ends."""
    if pool is None:
        return [session.see]
    session.end_when(lambda: pool.failed)
    return [session.see, pool.see]


def _lived(
    session: LiveSession,
    model: ServedModel,
    looked: FrameSource | None,
    pool: PoolCollector | None,
    *,
    recording: Path | None,
    timeline: Path | None,
) -> Lived:
    """What the session came to."""
    return Lived(
        source="browser" if looked is None else looked.name,
        model=model.id,
        engine=model.runner.engine,
        precision=model.runner.precision,
        classes=model.classes,
        seconds=round(session.passed, 3),
        damaged=0 if looked is None else looked.damaged,
        collected=None if pool is None else pool.to_dict(),
        recording=recording,
        timeline=timeline,
        notes=[] if looked is None else looked.notes,
        **session.figures(),
    )


def _checked(
    source: str | None,
    workspace: Workspace | None,
    collect_uncertain: bool,
    consent: str | None,
    *,
    microphone: bool,
    record: Path | None,
    timeline: Path | None,
) -> tuple[Workspace, str] | None:
    """The workspace to collect into, and the consent. Raises :class:`ConfigError` for what does not go together."""
    from emolab.errors import ConfigError
    from emolab.serving.live.timeline import FORMS

    if source is None and not microphone and (record is not None or timeline is not None):
        raise ConfigError(
            "A browser's picture is not recorded.", hint="Record a camera of this machine: emolab live 0 --record FILE"
        )
    if timeline is not None and timeline.suffix.lower() not in FORMS:
        raise ConfigError(
            f"{timeline} says no form of a timeline.", hint=f"Give it a name that ends in {' or '.join(FORMS)}."
        )
    if not collect_uncertain:
        return None
    if not (consent or "").strip():
        raise ConfigError(
            "Frames of people are kept only with their consent.",
            hint='Say what they agree to: --consent "My pictures may be used to train a model until 2030."',
        )
    if workspace is None:
        raise ConfigError("There is no workspace to collect into.", hint="Run this in a workspace, or: emolab init")
    return workspace, str(consent).strip()
