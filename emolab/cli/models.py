"""``emolab models``: what has been trained, and which model is the champion."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from emolab.cli.common import Session, escape, workspace_command
from emolab.cli.ui.groups import OrderedGroup
from emolab.words import short

if TYPE_CHECKING:
    from emolab.records import Model


@click.group(cls=OrderedGroup, short_help="List, show and promote trained models.", invoke_without_command=True)
@click.pass_context
def models(ctx: click.Context) -> None:
    """Trained models: list (the default), show, promote."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_models)


@models.command("list", short_help="All models, newest last.")
@workspace_command
def list_models(session: Session) -> None:
    """List all models with their names and what they reached on their validation samples."""
    from emolab.loop.model.models import models as listed

    found = listed(session.workspace)
    session.emit(found.to_dict()["models"])
    if not found:
        session.say("No model has been trained yet.")
        session.next_step("emolab train")
        return
    session.table(
        ["model", "name", "backbone", ("samples", "right"), ("accuracy", "right"), ("macro-F1", "right"), "made"],
        [_cells(model) for model in found],
        title="Samples are those trained on + those validated on",
    )


@models.command("show", short_help="Everything about one model.")
@click.argument("model", default="champion")
@workspace_command
def show(session: Session, model: str) -> None:
    """Show settings, metrics and the report of MODEL: a name such as champion, or the start of an id."""
    from emolab.cli.ui.comparison_table import show_comparison, show_learned
    from emolab.cli.ui.metrics_table import show_metrics
    from emolab.loop.model.models import model as find

    details = find(session.workspace, model)
    session.emit(details)
    found, report = details.record, details.report
    names = escape(", ".join(found.aliases)) or "no name"
    session.say(
        f"[bold]{short(found.id)}[/] ({names}), {escape(str(found.config['backbone']))}, made {found.created_at}"
    )
    came = found.metrics.get("brought")
    if came:
        session.say(f"  not trained here: it is {escape(str(came))}, which no training has beaten so far")
    lies = escape(str(report or "none"))
    session.say(f"  snapshot {short(found.snapshot)}   parent {short(found.parent or 'none')}   report: {lies}")
    if found.metrics["valid"]["n"]:
        where = "On the validation samples it was kept on" if came else "On its validation samples"
        show_metrics(session, found.metrics["valid"], title=where)
    show_learned(session, found.metrics.get("learned"), found.metrics["valid"])
    show_comparison(session, found.metrics.get("compared"))
    session.table(["setting", "value"], [(key, escape(str(value))) for key, value in found.config.items()])


@models.command("promote", short_help="Make a model the champion.")
@click.argument("model")
@click.option("--alias", default="champion", show_default=True, help="The name to give it.")
@workspace_command
def promote(session: Session, model: str, alias: str) -> None:
    """Give MODEL a name, by default champion: the one that suggest, predict and inspect use."""
    from emolab.loop.model.promote import promote as run

    done = run(session.workspace, model, alias=alias)
    session.emit(done)
    was = f" (before: {short(done.before)})" if done.before and done.before != done.model else ""
    session.say(f"[green]✓[/] {short(done.model)} is now [bold]{escape(alias)}[/]{was}")


@models.command("card", short_help="Purpose, data, figures and limits of a model.")
@click.argument("model", default="champion")
@workspace_command
def card(session: Session, model: str) -> None:
    """Print the model card of MODEL (face48, champion, the start of an id, or a folder) as Markdown.

    The bundled model face48 needs no workspace.
    """
    from emolab.cli.ui.model_options import workspace_for
    from emolab.loop.model.card import card as written

    found = written(model, workspace=workspace_for(session, model))
    session.emit(found)
    if not session.json:
        click.echo(found.card, nl=False)


def _cells(model: Model) -> tuple[str, ...]:
    from emolab.loop.model.models import row_of

    row = row_of(model)

    def show_number(key: str, form: str) -> str:
        return "–" if row[key] is None else format(row[key], form)

    return (
        short(model.id),
        " ".join(f"[bold green]{a}[/]" if a == "champion" else escape(a) for a in model.aliases) or "–",
        escape(str(row["backbone"])),
        f"{row['n_train']:,} + {row['n'] or 0:,}",
        show_number("accuracy", ".1%"),
        show_number("macro_f1", ".3f"),
        model.created_at[:10],
    )
