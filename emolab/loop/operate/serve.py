"""What ``emolab serve`` serves: a model, opened and warm, with its keys, its limits and its logs."""

from __future__ import annotations

import os
import random
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from emolab.progress import SILENT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from emolab.config import CollectConfig, Config, ServeConfig
    from emolab.loop.operate.served_columns import ServedColumns
    from emolab.progress import Progress
    from emolab.serving.audit import AuditLog
    from emolab.serving.keys import KeyFile
    from emolab.serving.model_host import ModelVersion
    from emolab.serving.own_predictor import OwnPredictor
    from emolab.serving.service import Service
    from emolab.serving.shadow import Shadow
    from emolab.workspace import Workspace

#: Seconds between the lines about what a candidate said.
SHADOW_SECONDS = 60.0


def open_service(
    workspace: Workspace | None,
    model: str = "champion",
    *,
    config: Config,
    shadow: str | None = None,
    keys: Path | None = None,
    behind_iam: bool = False,
    with_app: bool = False,
    device: str | None = None,
    progress: Progress = SILENT,
) -> Service:
    """A service that answers with ``model``, warm, and with ``shadow`` unseen; where they are names, it follows them.

    ``keys`` is the file of keys [the workspace's]. ``behind_iam`` demands none, because a platform in front lets only
    known callers through. ``with_app``: there are people with links too, so nobody needs to have a key; and until there
    is a champion, the network that comes with emolab answers, which is said. ``device`` is cpu, cuda or tensorrt [cpu].
    Close the service in the end.

    Raises :class:`ConfigError` for an address that others reach without a key, and what ``open_model`` raises.
    """
    from emolab.loop.look.watch_figures import NewestFigures
    from emolab.loop.operate.serve_keys import FOLDER, key_file
    from emolab.serving.audit import AuditLog
    from emolab.serving.model_host import ModelHost
    from emolab.serving.service import Service

    settings = config.serve
    held = None if keys is None and workspace is None else key_file(workspace, keys)
    demand = _demands_keys(config, held, behind_iam=behind_iam, with_app=with_app)
    columns = _columns(workspace, config, progress)

    def loaded(name: str) -> ModelVersion:
        return _version(workspace, name, config, device, progress, columns=columns)

    first = model
    if with_app and model == "champion" and workspace is not None and _id_of(workspace, model) is None:
        first = _standby(workspace)
        progress.note(f"There is no champion yet: {first}, which comes with emolab, answers until there is one.")
    version = loaded(first)
    _say_if_foreign(workspace, first, version, progress)
    candidate = None if shadow is None else _unseen(_version(workspace, shadow, config, device, progress), settings)
    folder = None if workspace is None or workspace.read_only else workspace.state / FOLDER
    service = Service(
        host=ModelHost(version, readers=settings.readers),
        config=settings,
        keys=held,
        audit=AuditLog(folder),
        demand_keys=demand,
        shadow=candidate,
        ready=False,
    )
    version.warm_up()
    _follow(service, workspace, model, loaded=lambda: loaded(model), log=AuditLog(folder, name="shadow"))
    if workspace is not None:
        service.watched = NewestFigures(workspace)
    if columns is not None:
        service.on_close = _both(service.on_close, columns.close)
        service.unlogged = columns.lacking
    return service


def _unseen(version: ModelVersion, settings: ServeConfig) -> Shadow:
    """``version``, warm, which answers a share of the requests unseen."""
    from emolab.serving.shadow import Shadow

    found = Shadow(version, share=settings.shadow_share, rng=random.Random())
    version.warm_up()
    return found


def _columns(workspace: Workspace | None, config: Config, progress: Progress) -> ServedColumns | None:
    """The log of what is served, where ``serve.log`` asks for one."""
    from emolab.errors import ConfigError
    from emolab.loop.operate.served_columns import FOLDER, ServedColumns

    settings = config.serve
    if not settings.log:
        return None
    if workspace is None or workspace.read_only:
        raise ConfigError(
            "serve.log needs a workspace that may be written to.",
            hint="Serve from one, or leave it out: --set serve.log=false",
        )
    folder = workspace.state / FOLDER
    return ServedColumns(folder, days=settings.log_days, most=settings.log_bytes, warn=progress.warn)


def _both(first: Callable[[], None], second: Callable[[], None]) -> Callable[[], None]:
    def call() -> None:
        first()
        second()

    return call


def _standby(workspace: Workspace) -> str:
    """The model that answers until there is a champion; one of images where none of the workspace's samples is there.

    People can label and look all the same, and :func:`_say_if_foreign` warns.
    """
    from emolab.errors import DataError
    from emolab.loop.model.models import default_model

    try:
        return default_model(workspace)
    except DataError:
        return default_model(None)


def _say_if_foreign(workspace: Workspace | None, name: str, version: ModelVersion, progress: Progress) -> None:
    """Warn of a model that answers about something else than the workspace holds."""
    from emolab.modalities.modality import open_modality

    if workspace is None:
        return
    told = open_modality(version.predictor.modality)
    here = open_modality(workspace.config.project.modality)
    if told is not here:
        progress.warn(
            f"{name} answers about {told.noun}s, not about the {here.noun}s of this workspace; emolab train makes "
            "a model of those."
        )


def _demands_keys(config: Config, keys: KeyFile | None, *, behind_iam: bool, with_app: bool) -> bool:
    """Whether callers need a key: everywhere but on this machine under its own names.

    Raises :class:`ConfigError` where they need one and there is none.
    """
    from emolab.errors import ConfigError
    from emolab.serving.service import is_loopback

    settings = config.serve
    demand = not behind_iam and (not is_loopback(settings.host) or bool(settings.hosts))
    if demand and not with_app and (keys is None or not keys.all()):
        raise ConfigError(
            f"Others can reach {settings.host}{' as ' + ', '.join(settings.hosts) if settings.hosts else ''}, "
            "and there is no key yet.",
            hint="Make one: emolab serve keys add NAME. Behind a platform that checks who calls, use --behind-iam.",
        )
    return demand


def _version(
    workspace: Workspace | None,
    name: str,
    config: Config,
    device: str | None,
    progress: Progress,
    *,
    columns: ServedColumns | None = None,
) -> ModelVersion:
    """The model called ``name``, opened to be served by the settings of the section serve; ``columns`` keep what it
    answers.
    """
    from emolab.loop.model.card import card
    from emolab.loop.model.judging.evaluate_own import UNCALIBRATED
    from emolab.loop.model.open_model import open_model
    from emolab.loop.model.predicting.predict_model import uncertainty_of
    from emolab.loop.operate.served_columns import LoggedPredictor
    from emolab.serving.model_host import Batching, ModelVersion
    from emolab.serving.predictor import Predictor

    settings = config.serve
    looking = replace(config.collect, max_bytes=settings.max_bytes, max_pixels=settings.max_pixels)
    batching = Batching(
        largest=settings.batch,
        wait=settings.wait_ms / 1000,
        at_once=_at_once(settings.threads),
        faces=settings.max_faces,
    )
    own = _own(workspace, name, settings, looking, device, columns=columns)
    if own is not None:
        if own.own.temperature is None:
            progress.warn(UNCALIBRATED)
        return ModelVersion(predictor=own, name=str(name), card=str(card(name, workspace=workspace)), batching=batching)
    opened = open_model(
        workspace,
        name,
        threads=settings.threads,
        engine=config.training.engine,
        device=device,
        alone="emolab serve",
        progress=progress,
    )
    unsure = uncertainty_of(opened, settings.unsure, settings.coverage)
    return ModelVersion(
        predictor=Predictor(opened, looking, uncertainty=unsure)
        if columns is None
        else LoggedPredictor(opened, looking, uncertainty=unsure, columns=columns),
        name=str(name),
        card=opened.card,
        batching=batching,
    )


def _own(
    workspace: Workspace | None,
    name: str,
    settings: ServeConfig,
    looking: CollectConfig,
    device: str | None,
    *,
    columns: ServedColumns | None,
) -> OwnPredictor | None:
    """The model called ``name`` where its modality runs it by itself, ready to be served; ``columns`` as above."""
    from emolab.errors import ConfigError
    from emolab.loop.model.models import exported, folder_in
    from emolab.loop.model.predicting.predict_model import uncertainty_of
    from emolab.loop.operate.served_columns import LoggedOwnPredictor
    from emolab.modalities.own_models import own_model
    from emolab.serving.own_predictor import OwnPredictor, OwnServed

    own = None if exported(name) is not None else own_model(folder_in(workspace, name))
    if own is None:
        return None
    if device not in (None, "auto", "cpu"):
        raise ConfigError(f"This model is computed on the CPU and not by {device}.", hint="Leave --device out.")
    unsure = uncertainty_of(OwnServed(own), settings.unsure, settings.coverage)
    if columns is not None:
        return LoggedOwnPredictor(own, looking, uncertainty=unsure, columns=columns)
    return OwnPredictor(own, looking, uncertainty=unsure)


def _at_once(threads: int | None) -> int:
    """How many batches may be computed together: two where the model may have every core of several.

    Each has a thread of its own beside those of the engine, which is more than a smaller number of ``threads`` allows.
    """
    cores = os.cpu_count() or 1
    return 2 if cores > 1 and (threads is None or threads >= cores) else 1


def _follow(
    service: Service,
    workspace: Workspace | None,
    name: str,
    *,
    loaded: Callable[[], ModelVersion],
    log: AuditLog,
) -> None:
    """Let ``service`` follow what ``name`` means in the workspace, and keep what a candidate says."""
    from emolab.loop.model.models import exported, outside
    from emolab.loop.model.registry.pointer import moved_at
    from emolab.loop.operate.champion_watch import ChampionWatch

    told = _ShadowLines(service.shadow, log)
    alias = workspace is not None and exported(name) is None and outside(name) is None

    def current() -> str | None:
        return _id_of(workspace, name) if alias and workspace is not None else None

    def bell() -> object:
        return moved_at(workspace) if alias and workspace is not None else None

    watch = ChampionWatch(
        service.host,
        current=current,
        load=loaded,
        seconds=service.config.watch,
        also=told.from_time_to_time,
        bell=bell,
    )
    service.reload = watch.now

    def end() -> None:
        watch.stop()
        told.write()
        log.close()

    service.on_close = end
    watch.start()


def _id_of(workspace: Workspace, name: str) -> str | None:
    from emolab.catalog import models

    with workspace.catalog() as catalog, catalog.connect() as conn:
        found = models.find(conn, name)
        return None if found is None else found.id


class _ShadowLines:
    """Writes what a candidate said beside what was said: a line a minute, and the rest at the end."""

    def __init__(self, shadow: Shadow | None, log: AuditLog) -> None:
        self._shadow, self._log, self._last = shadow, log, time.monotonic()

    def from_time_to_time(self) -> None:
        if time.monotonic() - self._last >= SHADOW_SECONDS:
            self.write()

    def write(self) -> None:
        self._last = time.monotonic()
        if self._shadow is not None:
            for model, tally in self._shadow.take().items():
                self._log.write({"shadow": self._shadow.version.id, "model": model, **tally.to_dict()})
