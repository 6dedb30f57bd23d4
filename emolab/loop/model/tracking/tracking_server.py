"""A tracking server that trainings tell of themselves, and that never keeps one from going on.

A thread of its own talks to the server, so that a slow one costs a training no time. The first thing that goes wrong
ends the talking, with one warning; nothing is asked of the server again in this command.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from emolab.errors import ConfigError, MissingExtra

if TYPE_CHECKING:
    from emolab.loop.model.tracking.mlflow_runs import MlflowRuns
    from emolab.progress import Progress
    from emolab.workspace import Workspace

SETTING = "training.mlflow"
#: The word of the setting that lets this variable say which server.
ENVIRONMENT, VARIABLE = "environment", "MLFLOW_TRACKING_URI"
#: Seconds that the end of a command waits for what is still to be told.
PATIENCE = 30.0
#: Events of the registry that are told.
NAMING = ("promoted", "rolled_back", "retired")

Work = Callable[["MlflowRuns"], None]


def server_address(workspace: Workspace) -> str | None:
    """The server that ``training.mlflow`` names; ``None`` where it names none, whatever the environment says.

    Raises :class:`ConfigError` for what is no address, and for one that holds a password, :class:`MissingExtra`
    without MLflow's client.
    """
    asked = workspace.config.training.mlflow
    if not asked:
        return None
    found = asked
    if asked == ENVIRONMENT:
        found = os.environ.get(VARIABLE, "")
        if not found:
            raise ConfigError(
                f'{SETTING} is "{ENVIRONMENT}", but {VARIABLE} is not set.',
                hint="Set it, name the server (--set training.mlflow=http://127.0.0.1:5000), or leave it out.",
            )
    try:
        parts = urlsplit(found)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        whole = False
    if any(mark in found for mark in "@?#"):  # the address is shown where it fails
        raise ConfigError(
            f"The address of the tracking server ({SETTING}) holds a name or a password, or something behind ? or #.",
            hint="Leave them out, and set MLFLOW_TRACKING_USERNAME and _PASSWORD, or MLFLOW_TRACKING_TOKEN.",
        )
    if not whole:
        raise ConfigError(
            f'{SETTING} is "{found}"; expected the address of a server.',
            hint="Such as: --set training.mlflow=http://127.0.0.1:5000",
        )
    if find_spec("mlflow") is None:
        raise MissingExtra("MLflow's client", "mlflow")
    return found


class TrackingServer:
    """What talks to the server at ``address``, where the workspace has the experiment ``name``."""

    def __init__(self, address: str, name: str, progress: Progress) -> None:
        self._address, self._name, self._progress = address, name, progress
        self._work: queue.Queue[Work | None] = queue.Queue()
        self._fault = ""
        self._told = False
        self._thread = threading.Thread(target=self._talk, name="tracking", daemon=True)
        self._thread.start()

    def tell(self, work: Work) -> None:
        """Have ``work`` done, at some time before :meth:`close` ends."""
        self._warn()
        if not self._fault:
            self._work.put(work)

    def close(self) -> None:
        """Wait, not for ever, until all is told."""
        self._work.put(None)
        self._thread.join(PATIENCE)
        if self._thread.is_alive() and not self._fault:
            self._fault = f"no answer within {PATIENCE:.0f} s"
        self._warn()

    def _talk(self) -> None:
        from emolab.loop.model.tracking.mlflow_runs import MlflowRuns

        try:
            runs = MlflowRuns(self._address, self._name)
            while (work := self._work.get()) is not None:
                work(runs)
        except Exception as error:  # whatever a server or its client does, the training goes on
            self._fault = " ".join(str(error).split())[:200] or type(error).__name__

    def _warn(self) -> None:
        if self._fault and not self._told:
            self._told = True
            self._progress.warn(
                f"The tracking server at {self._address} is told nothing any more: {self._fault}. The work goes on."
            )


@contextmanager
def tracking(workspace: Workspace, progress: Progress) -> Iterator[TrackingServer | None]:
    """What tells the server of the settings; ``None`` where they name none. Raises as :func:`server_address` does."""
    address = server_address(workspace)
    if address is None:
        yield None
        return
    server = TrackingServer(address, workspace.config.project.name, progress)
    try:
        yield server
    finally:
        server.close()


@contextmanager
def tracked_training(
    workspace: Workspace, identity: str, settings: Mapping[str, Any], progress: Progress
) -> Iterator[TrackedTraining]:
    """A training with these ``settings``, told to the server while it runs; one that is stopped is marked so.

    ``identity`` names the training: the same one goes on in the same run.
    """
    with tracking(workspace, progress) as server:
        told = TrackedTraining(server)
        if server is not None:
            server.tell(lambda runs: runs.begin(identity, settings))
        try:
            yield told
        except BaseException:
            if server is not None:
                server.tell(lambda runs: runs.stop())
            raise


class TrackedTraining:
    """What a training tells ``server``; nothing is told where that is ``None``."""

    def __init__(self, server: TrackingServer | None) -> None:
        self._server = server

    @property
    def epoch(self) -> Callable[[dict[str, Any]], None] | None:
        """What tells one row of an epoch; ``None`` where nobody listens."""
        server = self._server
        if server is None:
            return None

        def told(row: dict[str, Any]) -> None:
            kept = dict(row)  # the caller goes on with its own
            server.tell(lambda runs: runs.epoch(kept))

        return told

    def finish(self, workspace: Workspace, model: str, metrics: Mapping[str, Any]) -> None:
        """Tell what came of it: the ``model`` (id), its figures, its card, and who is champion now."""
        from emolab.loop.model.card import card

        if self._server is None:
            return
        valid = dict(metrics.get("valid") or {})
        others = {key: metrics[key] for key in ("n_train", "minutes") if metrics.get(key) is not None}
        text = card(model, workspace=workspace).card
        self._server.tell(lambda runs: runs.finish(model, valid, others, text))
        names = names_of(workspace)
        self._server.tell(lambda runs: runs.name(names))


def names_of(workspace: Workspace) -> dict[str, dict[str, str]]:
    """The tags of each model (id) by the registry: its names, whether it is retired, what happened last and why."""
    from emolab.catalog import models
    from emolab.catalog.registry import model_events

    found: dict[str, dict[str, str]] = {}
    with workspace.catalog() as catalog, catalog.connect() as conn:
        retired, events = model_events.state(conn).retired, model_events.read(conn)
        for model in models.list_all(conn):
            mine = [one for one in events if one.model == model.id and one.kind in NAMING]
            found[model.id] = {
                "emolab.names": ",".join(sorted(model.aliases)),
                "emolab.retired": "yes" if model.id in retired else "no",
                "emolab.last_event": "" if not mine else f"{mine[-1].at} {mine[-1].kind}: {mine[-1].reason or ''}",
            }
    return found


@contextmanager
def names_told(workspace: Workspace, progress: Progress) -> Iterator[None]:
    """When the block is done, tell the server of the settings, where there is one, which model has which name now.

    Raises as :func:`server_address` does, before the block begins.
    """
    if server_address(workspace) is None:
        yield
        return
    yield
    with tracking(workspace, progress) as server:
        if server is not None:
            names = names_of(workspace)
            server.tell(lambda runs: runs.name(names))
