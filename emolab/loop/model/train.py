"""A model from the current labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emolab.loop.sample_files import media_of
from emolab.progress import SILENT

if TYPE_CHECKING:
    from emolab.progress import Progress
    from emolab.training.fitting.distributed import Team
    from emolab.training.train_model import Trained
    from emolab.workspace import Workspace


def train(
    workspace: Workspace,
    *,
    resume: bool = False,
    device: str | None = None,
    progress: Progress = SILENT,
    team: Team | None = None,
) -> Trained:
    """Train on the current labels, aggregating votes first, or go on with the unfinished run.

    Without ``device`` a new run computes where the settings say, a resumed one where it began. The leader of a ``team``
    calls this.
    Raises :class:`DataError` when there is nothing to train on or, with ``resume``, nothing to go on with.
    """
    from emolab.errors import MissingExtra

    try:
        from emolab.training import train_model
        from emolab.training.fitting.distributed import ALONE
        from emolab.training.runs.disk_full import room
    except ImportError as error:
        raise MissingExtra("PyTorch", "train") from error
    from emolab.loop.model.training_run import choose

    workspace = workspace.with_settings({"training.device": device})
    with room():
        team, begun = team or ALONE, None
        try:
            with workspace.lock("train"):
                run = choose(workspace, progress, resume=resume, device=device)
            begun = run.folder.name
        finally:
            team.agree({"run": begun})
        return train_model.train(
            workspace,
            run,
            media_of(workspace),
            tensorboard=workspace.config.training.tensorboard,
            progress=progress,
            team=team,
        )


def train_together(
    workspace: Workspace, *, resume: bool = False, device: str | None = None, progress: Progress = SILENT
) -> Trained | None:
    """:func:`train` by several processes: the result in the leading one, ``None`` in the others when they are done.

    Raises :class:`SystemExit` in the others when the leader could not begin; it has said why.
    """
    from emolab.errors import MissingExtra

    try:
        from emolab.training import train_model
        from emolab.training.fitting.distributed import join
        from emolab.training.runs import run_folders, runs
    except ImportError as error:
        raise MissingExtra("PyTorch", "train") from error
    workspace = workspace.with_settings({"training.device": device})
    team = join(workspace.config.training.device)
    if team.leads:
        return train(workspace, resume=resume, device=device, progress=progress, team=team)
    begun = team.agree(None)["run"]
    if begun is None:
        raise SystemExit(1)
    train_model.help_train(workspace, runs.read(run_folders.root(workspace) / begun), media_of(workspace), team)
    return None
