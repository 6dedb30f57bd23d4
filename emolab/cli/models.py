"""``emolab models``: what has been trained, and which model is the champion."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from emolab.cli.common import Session, consent, escape, workspace_command
from emolab.cli.evaluate import NOT_GOOD_ENOUGH
from emolab.cli.ui.groups import OrderedGroup
from emolab.words import short

if TYPE_CHECKING:
    from emolab.loop.model.models import TrainedModels
    from emolab.loop.model.registry.promote import Promoted
    from emolab.records import Model


@click.group(cls=OrderedGroup, short_help="Trained models: which is in use, and back.", invoke_without_command=True)
@click.pass_context
def models(ctx: click.Context) -> None:
    """Trained models: list (the default), show, promote, roll back, retire."""
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
        [_cells(model, found) for model in found],
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
    by = details.to_dict()["normalised_by"]
    if by:
        session.say(f"  normalised by {by}: figures hold where all clips of a speaker are known")
    if found.metrics["valid"]["n"]:
        where = "On the validation samples it was kept on" if came else "On its validation samples"
        show_metrics(session, found.metrics["valid"], title=where)
    show_learned(session, found.metrics.get("learned"), found.metrics["valid"])
    show_comparison(session, found.metrics.get("compared"))
    session.table(["setting", "value"], [(key, escape(str(value))) for key, value in found.config.items()])


reason_option = click.option("--reason", metavar="TEXT", help="Why, for the history.")
alias_option = click.option("--alias", default="champion", show_default=True, help="The name to give it.")


@models.command("promote", short_help="Make a model the champion.")
@click.argument("model")
@alias_option
@reason_option
@click.option("--force", is_flag=True, help="Promote a model that the gate blocks; the history tells so.")
@workspace_command
def promote(session: Session, model: str, *, alias: str, reason: str | None, force: bool) -> int:
    """Give MODEL a name, by default champion: the one that suggest, predict, inspect and serve use.

    Where the holdout has labels it has to pass the gate first: exit code 3 where it is blocked, with the reasons. A
    running "emolab serve" answers with it within seconds, without a failed request.
    """
    from emolab.loop.model.registry.promote import GateBlocked
    from emolab.loop.model.registry.promote import promote as run

    try:
        done = run(session.workspace, model, alias=alias, reason=reason, force=force, progress=session.progress)
    except GateBlocked as blocked:
        session.emit({"passed": False, "reasons": blocked.verdict.reasons, **blocked.verdict.document})
        click.echo(f"blocked: {escape(blocked.message)}\n  fix: {blocked.hint}", err=True)
        return NOT_GOOD_ENOUGH
    _show_move(session, done)
    for line in (done.gate or {}).get("reasons", ()):
        session.say(f"  on the holdout: {escape(line)}")
    return 0


@models.command("compare", short_help="What the gate says of a model, without promoting it.")
@click.argument("new", default="candidate")
@click.argument("old", default="champion")
@workspace_command
def compare(session: Session, new: str, old: str) -> None:
    """Judge NEW beside OLD on the holdout, as "models promote" does, and tell what NEW said unseen (serve --shadow)."""
    from emolab.loop.model.registry.compare_models import compare_models

    done = compare_models(session.workspace, new, old, progress=session.progress)
    session.emit(done)
    figures = done.verdict.document
    if "old" in figures:
        rows = [(key, f"{figures['new'][key]:.3f}", f"{value:.3f}") for key, value in figures["old"].items()]
        session.table(["figure", (short(done.new), "right"), (short(done.old), "right")], rows, title="On the holdout")
    session.say("[green]passes[/]" if done.verdict.passed else "[yellow]is blocked[/]")
    for line in done.verdict.reasons:
        session.say(f"  {escape(line)}")
    if done.shadow:
        told = f"{done.shadow['agreed']:,} of {done.shadow['faces']:,} faces in {done.shadow['pictures']:,} pictures"
        session.say(f"Unseen beside {short(done.old)} (serve --shadow) it said the same of {told}.")


@models.command("rollback", short_help="Give the name back to the model before.")
@click.option("--to", metavar="MODEL", help="An earlier one that had the name  [the one before]")
@alias_option
@reason_option
@workspace_command
def rollback(session: Session, *, to: str | None, alias: str, reason: str | None) -> None:
    """Make the model champion again that was it before the one of now; a second time goes one further back."""
    from emolab.loop.model.registry.promote import rollback as run

    _show_move(session, run(session.workspace, to=to, alias=alias, reason=reason, progress=session.progress))


def _show_move(session: Session, done: Promoted) -> None:
    session.emit(done)
    was = f" (before: {short(done.before)})" if done.before and done.before != done.model else ""
    session.say(f"[green]✓[/] {short(done.model)} is now [bold]{escape(done.alias)}[/]{was}")


@models.command("history", short_help="What was in use when, by whose decision and why.")
@click.argument("model", required=False)
@click.option("--on", metavar="DAY", help="What was in use on a day of UTC (2026-11-01), or at a moment.")
@click.option("--alias", metavar="NAME", help="Only this name, such as champion.")
@workspace_command
def history(session: Session, model: str | None, *, on: str | None, alias: str | None) -> None:
    """Tell which model had which name from when to when, and everything that happened to the models, or to MODEL."""
    from emolab.loop.model.registry.model_history import in_words, model_history

    found = model_history(session.workspace, model, alias=alias, on=on)
    session.emit(found)
    if not found.in_use:
        session.say("No model was in use" + (f" on {escape(on)}." if on else " yet."))
    for one in found.in_use:
        session.say(f"[bold]{escape(one.alias)}[/]: {escape(in_words(one))}")
    session.table(
        ["at (UTC)", "what", "model", "name", "by", "reason"],
        [
            (event.at[:19].replace("T", " "), event.kind.replace("_", " "), short(event.model),
             escape(event.alias or "–"), escape(event.actor or "–"), escape(event.reason or "–"))
            for event in found.events
        ],
    )  # fmt: skip


@models.command("retire", short_help="Take a model out of use.")
@click.argument("model")
@reason_option
@workspace_command
def retire(session: Session, model: str, *, reason: str | None) -> None:
    """Take MODEL out of use: nothing is rolled back to it, and "models gc" may delete its files.

    A model that has a name is in use and stays. Promoting a retired model brings it back, while its files are there.
    """
    from emolab.loop.model.registry.retire import retire as run

    done = run(session.workspace, model, reason=reason, progress=session.progress)
    session.emit(done)
    session.say(f"[green]✓[/] {short(done.model)} is retired")
    session.next_step("emolab models gc --dry-run")


@models.command("gc", short_help="Delete the files of retired models.")
@click.option("--dry-run", is_flag=True, help="Say what would go, change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@workspace_command
def gc(session: Session, *, dry_run: bool, yes: bool) -> None:
    """Delete weights, reports and predictions of retired models; what the catalog knows of them stays.

    A model stays that has a name, that another one came from, or that a snapshot or an unfinished training names.
    """
    from emolab.loop.model.registry.retire import CleanedModels, clean_models, freed

    def agree(found: CleanedModels) -> None:
        if not yes:
            consent(
                session,
                f"The files of {freed(found)} would be deleted",
                "Delete them?",
                nothing="nothing was deleted",
                ahead="Look with --dry-run first.",
                remedy="Look with --dry-run; delete them with --yes.",
            )

    done = clean_models(session.workspace, agree=agree, dry_run=dry_run)
    session.emit(done)
    sign = "[yellow]dry run, nothing deleted:[/]" if done.dry_run else "[green]✓[/] deleted:"
    names = f" ({', '.join(map(short, done.deleted))})" if done.deleted else ""
    session.say(f"{sign} {freed(done)}{names}")
    for name, why in done.kept.items():
        session.say(f"  {short(name)} stays: {escape(why)}")


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


def _cells(model: Model, found: TrainedModels) -> tuple[str, ...]:
    from emolab.loop.model.models import row_of

    row = row_of(model)
    names = [f"[bold green]{a}[/]" if a == "champion" else escape(a) for a in model.aliases]
    names += ["[dim]retired[/]"] if model.id in found.retired else []
    names += [f"[yellow]{escape(flag)}[/]" for flag in sorted(found.flags.get(model.id, ()))]

    def show_number(key: str, form: str) -> str:
        return "–" if row[key] is None else format(row[key], form)

    return (
        short(model.id),
        " ".join(names) or "–",
        escape(str(row["backbone"])),
        f"{row['n_train']:,} + {row['n'] or 0:,}",
        show_number("accuracy", ".1%"),
        show_number("macro_f1", ".3f"),
        model.created_at[:10],
    )
