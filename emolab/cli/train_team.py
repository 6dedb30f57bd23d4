"""``torchrun -m emolab train``: one training by several processes, of which the first one speaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emolab.cli.common import Session

if TYPE_CHECKING:
    from emolab.training.train_model import Trained


def train_together(session: Session, *, resume: bool, device: str | None) -> Trained | None:
    """What :func:`emolab.cli.train.train_run` gives, in the leading process; ``None`` in the others when they are done.

    Raises :class:`SystemExit` in the others when the leader could not begin; it has said why.
    """
    from emolab.cli.train import media_of, train_run
    from emolab.cli.ui.signals import terminated_like_ctrl_c
    from emolab.errors import MissingExtra

    try:
        from emolab.training import train_model as models
        from emolab.training.fitting.distributed import join
        from emolab.training.runs import run_folders as places
        from emolab.training.runs import runs
    except ImportError as error:
        raise MissingExtra("PyTorch", "train") from error
    workspace = session.workspace
    team = join(workspace.config.training.device)
    with terminated_like_ctrl_c():
        if not team.leads:
            begun = team.agree(None)["run"]
            if begun is None:
                raise SystemExit(1)
            models.help_train(workspace, runs.read(places.root(workspace) / begun), media_of(workspace), team)
            return None
        return train_run(workspace, resume=resume, device=device, progress=session.progress, team=team)
