"""What the options of commands that use a model mean: which model, where to compute, by which settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from emolab.cli.common import Session
    from emolab.config import Config
    from emolab.workspace import Workspace


def folder_of(session: Session, name: str) -> Path:
    """The checkpoint folder that ``name`` means: a folder, a bundled model, an alias or the start of an id.

    A workspace is looked for only where the name asks for one.
    """
    from emolab.loop.model.models import folder_in, outside

    return outside(name) or folder_in(workspace_of(session), name)


def workspace_for(session: Session, name: str) -> Workspace | None:
    """The workspace of the command, looked for only where the model's ``name`` asks for one."""
    from emolab.loop.model.models import outside

    return None if outside(name) else workspace_of(session)


def device_of(session: Session, device: str | None) -> str:
    """Where a command computes: ``device`` of its option, else what the settings say."""
    return device or config_of(session).training.device


def config_of(session: Session) -> Config:
    """The settings of the workspace, or the defaults where there is none; with what ``--set`` says on top."""
    from emolab.config import Config, apply

    workspace = workspace_of(session, settled=True)
    return apply(Config(), session.overrides) if workspace is None else workspace.config


def workspace_of(session: Session, *, settled: bool = False) -> Workspace | None:
    """The workspace the command works in; ``None`` where there is none and nothing was said about one.

    Settings given by ``--set`` want a workspace, unless they are ``settled`` by :func:`config_of`.
    """
    from emolab.errors import ConfigError

    try:
        return session.workspace
    except ConfigError:
        if session.folder is not None or (session.overrides and not settled):
            raise
        return None
