"""``emolab train``: a model from the current labels."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from emolab.cli.common import Session, device_option, leak_option, workspace_command
from emolab.words import many, short

if TYPE_CHECKING:
    from emolab.loop.model.train import Trained


@click.command(short_help="Train a model on the current labels.")
@click.option("--resume", is_flag=True, help="Go on with the unfinished run, on the data and settings it began with.")
@device_option
@leak_option
@workspace_command
def train(session: Session, resume: bool, device: str | None, allow_speaker_leak: bool) -> None:
    """Fine-tune a network on the vote distributions of the labelled samples, calibrate it and write a report.

    Samples without a split get one (80 % train, 20 % valid; copies and groups stay together). Settings are those of
    [training]: --set training.backbone=mobilenet_v2, training.weights=PATH, training.epochs=20 and so on. A stopped
    run goes on when the same command is run again; --resume goes on even when votes or settings changed meanwhile.
    """
    from emolab.loop.model.train import train as run
    from emolab.loop.model.train import train_together

    if resume:
        _refuse_settings(session.overrides)
    asked: dict[str, Any] = {
        "resume": resume,
        "device": device,
        "allow_speaker_leak": allow_speaker_leak,
        "progress": session.progress,
    }
    if "TORCHELASTIC_RUN_ID" in os.environ:
        from emolab.cli.ui.signals import terminated_like_ctrl_c

        with terminated_like_ctrl_c():
            trained = train_together(session.workspace, **asked)
    else:
        trained = run(session.workspace, **asked)
    if trained is not None:
        session.emit(trained.to_dict())
        _show(session, trained)


def _refuse_settings(overrides: tuple[str, ...]) -> None:
    """Raise :class:`ConfigError` for settings of a resumed training, which has its own."""
    from emolab.errors import ConfigError

    vain = [text for text in overrides if text.startswith("training.") and not text.startswith("training.tensorboard=")]
    if vain:
        raise ConfigError(
            f"--resume goes on with the settings the run began with; --set {vain[0]} would change nothing.",
            hint="Leave it out (--device moves a run), or leave out --resume to begin a new run.",
        )


def _how(metrics: Mapping[str, Any]) -> str:
    """How the weights came about, in words."""
    solved = metrics.get("solved")
    if solved:
        return f"head solved in {many(solved['steps'], 'step')} (penalty {solved['penalty']:.2g})"
    return f"{many(metrics['epochs'], 'epoch')} (kept {metrics['best_epoch']})"


def _champion(trained: Trained) -> str:
    """The champion of now by its id, and what it is where it was not trained here."""
    compared = trained.checkpoint.metrics["compared"] or {}
    reigned = compared.get("reigning", True)
    return short(trained.champion) if reigned else f"{compared['against']} ({short(trained.champion)})"


def _show(session: Session, trained: Trained) -> None:
    from emolab.cli.common import escape
    from emolab.cli.ui.comparison_table import show_comparison, show_learned, show_speakers
    from emolab.cli.ui.metrics_table import show_metrics

    model, metrics = trained.model, trained.checkpoint.metrics
    for line in trained.mismatches[:8]:
        session.say(f"[yellow]weights:[/] {escape(line)}")
    if len(trained.mismatches) > 8:
        session.say(f"[yellow]weights:[/] and {len(trained.mismatches) - 8} more; --json lists all of them")
    badge = "[bold green]champion[/]" if trained.alias == "champion" else "[bold yellow]candidate[/]"
    stays = "" if trained.champion == model.id else f"; the champion is {_champion(trained)}"
    session.say(
        f"[green]✓[/] model [bold]{short(model.id)}[/] is {badge}: {escape(trained.reason)}{stays}\n"
        f"  {trained.checkpoint.backbone}, {many(metrics['n_train'], 'sample')}, {_how(metrics)}, "
        f"{metrics['minutes']:.1f} min"
    )
    if metrics["valid"]["n"]:
        show_metrics(session, metrics["valid"], before=metrics["before_temperature"], title="On the validation samples")
    else:
        session.say("[yellow]No validation samples, so nothing is measured and the model is not calibrated.[/]")
    show_learned(session, metrics["learned"], metrics["valid"])
    show_speakers(session, metrics.get("speakers"))
    show_comparison(session, metrics["compared"])
    session.say(f"  report: {escape(str(trained.report))}")
    session.next_step("emolab suggest")
