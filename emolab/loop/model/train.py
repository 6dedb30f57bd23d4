"""A model from the current labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emolab.loop.model.evaluate import class_table
from emolab.loop.sample_files import media_of
from emolab.progress import SILENT
from emolab.results import Result, Table, plain_data
from emolab.words import short

if TYPE_CHECKING:
    from pathlib import Path

    from emolab.inference.model_document import Checkpoint
    from emolab.loop.model.judging.train_own import OwnCheckpoint
    from emolab.modalities.own_models import Learner
    from emolab.progress import Progress
    from emolab.records import Model
    from emolab.training.fitting.distributed import Team
    from emolab.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Trained(Result):
    """A finished training: the model, which name it earned and why, and where its report is.

    ``champion`` is the id of the model that has that name now.
    """

    model: Model
    checkpoint: Checkpoint | OwnCheckpoint
    alias: str
    reason: str
    champion: str
    report: Path
    mismatches: tuple[str, ...]
    resumed_at: int

    def to_dict(self) -> dict[str, Any]:
        """What there is to tell about the training, ready for JSON."""
        model, metrics = self.model, self.checkpoint.metrics
        told = ("n_train", "epochs", "best_epoch", "minutes", "solved", "valid")
        before = metrics["before_temperature"]
        return {
            "model": model.id,
            "alias": self.alias,
            "reason": self.reason,
            "path": model.path,
            "report": str(self.report),
            "snapshot": model.snapshot,
            "backbone": self.checkpoint.backbone,
            "temperature": self.checkpoint.temperature,
            **{key: plain_data(metrics[key]) for key in told},
            "champion": self.champion,
            "learned": metrics["learned"],
            "speakers": metrics.get("speakers"),
            "compared": metrics["compared"],
            "before_temperature": {k: before[k] for k in ("nll", "ece", "brier", "log_loss") if k in before},
            "mismatches": list(self.mismatches),
            "resumed_at": self.resumed_at,
        }

    def tables(self) -> list[Table]:
        """The model, its name and why, what it reached on its validation samples, and the same by class."""
        told = self.to_dict()
        keys = ("reason", "backbone", "n_train", "epochs", "minutes", "mismatches", "report")
        head = [(key.replace("_", " "), told[key]) for key in keys if told[key]]
        valid = told["valid"]
        reached = [(key.replace("_", " "), valid[key]) for key in ("n", "accuracy", "macro_f1", "ece") if key in valid]
        title = f"Model {short(self.model.id)}, {self.alias}"
        by_class = [class_table(valid["per_class"])] if valid["n"] else []
        return [Table(title, (), head), Table("On its validation samples", (), reached), *by_class]


def train(
    workspace: Workspace,
    *,
    resume: bool = False,
    device: str | None = None,
    allow_speaker_leak: bool = False,
    progress: Progress = SILENT,
    team: Team | None = None,
) -> Trained:
    """Train on the current labels, aggregating votes first, or go on with the unfinished run, and store the model.

    It becomes ``champion`` or ``candidate``: see :mod:`emolab.loop.model.admit`. One training at a time per workspace.

    Without ``device`` a new run computes where the settings say, a resumed one where it began. The leader of a ``team``
    calls this. ``allow_speaker_leak`` lets splits divide speakers from now on, and every report says so.
    Raises :class:`DataError` when there is nothing to train on or, with ``resume``, nothing to go on with, and where
    speakers are both trained and judged on.
    """
    from emolab.modalities.own_models import own_learner

    if allow_speaker_leak:
        from emolab.datasets.splits import speakers

        speakers.let_be(workspace, "train")

    config = workspace.config
    learner = own_learner(config.project.modality, config.training.weights)
    if learner is not None:
        return _by_modality(workspace, learner, resume=resume, progress=progress)
    return _by_network(workspace, resume=resume, device=device, progress=progress, team=team)


def _by_modality(workspace: Workspace, learner: Learner, *, resume: bool, progress: Progress) -> Trained:
    """A model that the modality learns by itself, in one go."""
    from emolab.errors import DataError
    from emolab.loop.model.judging.train_own import train_own
    from emolab.loop.model.tracking.tracking_server import server_address, tracked_training
    from emolab.modalities.modality import open_modality
    from emolab.modalities.preparing import require_speakers

    if resume:
        raise DataError("There is no unfinished run to go on with.", hint="Start one with: emolab train")
    config = workspace.config
    server_address(workspace)
    require_speakers(config.training.normalise, None, f"{open_modality(config.project.modality).noun}s")
    made = train_own(workspace, learner, progress=progress)
    with tracked_training(workspace, made.model.id[:16], made.model.config, progress) as tracked:
        tracked.finish(workspace, made.model.id, made.checkpoint.metrics)
    return Trained(
        model=made.model,
        checkpoint=made.checkpoint,
        alias=made.alias,
        reason=made.reason,
        champion=made.champion,
        report=made.document,
        mismatches=(),
        resumed_at=0,
    )


def _by_network(
    workspace: Workspace, *, resume: bool, device: str | None, progress: Progress, team: Team | None
) -> Trained:
    """A network, trained or carried on with."""
    from emolab.errors import MissingExtra

    try:
        from emolab.training import train_model
        from emolab.training.fitting.distributed import ALONE
        from emolab.training.judging.finish import REPORT
        from emolab.training.runs.disk_full import room
    except ImportError as error:
        raise MissingExtra("PyTorch", "train") from error
    from dataclasses import asdict

    from emolab.loop.model.admit import admit
    from emolab.loop.model.tracking.tracking_server import server_address, tracked_training
    from emolab.loop.model.training_run import choose

    server_address(workspace)  # a wrong one is refused before anything is done

    workspace = workspace.with_settings({"training.device": device})
    with room():
        team, begun = team or ALONE, None
        try:
            with workspace.lock("train"):
                run = choose(workspace, progress, resume=resume, device=device)
            begun = run.folder.name
        finally:
            team.agree({"run": begun})
        with workspace.lock("train"), tracked_training(workspace, begun, asdict(run.plan), progress) as tracked:
            judged = train_model.train(
                workspace,
                run,
                media_of(workspace),
                tensorboard=workspace.config.training.tensorboard,
                told=tracked.epoch,
                progress=progress,
                team=team,
            )
            admitted = admit(judged)
            run.remove()
            tracked.finish(workspace, admitted.model.id, judged.checkpoint.metrics)
    return Trained(
        model=admitted.model,
        checkpoint=judged.checkpoint,
        alias=admitted.alias,
        reason=admitted.reason,
        champion=admitted.champion,
        report=workspace.root / admitted.model.path / REPORT,
        mismatches=judged.mismatches,
        resumed_at=judged.resumed_at,
    )


def train_together(
    workspace: Workspace,
    *,
    resume: bool = False,
    device: str | None = None,
    allow_speaker_leak: bool = False,
    progress: Progress = SILENT,
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
        return train(
            workspace,
            resume=resume,
            device=device,
            allow_speaker_leak=allow_speaker_leak,
            progress=progress,
            team=team,
        )
    begun = team.agree(None)["run"]
    if begun is None:
        raise SystemExit(1)
    train_model.help_train(workspace, runs.read(run_folders.root(workspace) / begun), media_of(workspace), team)
    return None
