"""``emolab models``: what has been trained, and which model is the champion."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from emolab.cli.common import Session, escape, workspace_command
from emolab.cli.ui.groups import OrderedGroup
from emolab.words import short

if TYPE_CHECKING:
    from emolab.config import Config
    from emolab.records import Model
    from emolab.workspace import Workspace


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
    from emolab.catalog import models as catalog_models

    with session.workspace.catalog() as catalog, catalog.connect() as conn:
        found = catalog_models.list_all(conn)
    session.emit([_row(model) for model in found])
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

    from emolab.catalog import models as catalog_models
    from emolab.cli.ui.comparison_table import show_comparison, show_learned
    from emolab.cli.ui.metrics_table import show_metrics

    with session.workspace.catalog() as catalog, catalog.connect() as conn:
        found = catalog_models.get(conn, model)
    report: Path | None = session.workspace.root / found.path / "report.html"
    if report is None or not report.is_file():
        report = None  # a network that was not trained here has none
    session.emit({**_row(found), "metrics": found.metrics, "config": found.config, "report": report})
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
    from emolab.catalog import models as catalog_models
    from emolab.errors import DataError

    if not alias.isidentifier():
        raise DataError(f'"{alias}" cannot be a name for a model: use letters, digits and "_".')
    with session.workspace.catalog() as catalog, catalog.begin() as tx:
        found = catalog_models.get(tx, model)
        before = catalog_models.aliases(tx).get(alias)
        if before != found.id:
            catalog_models.set_alias(tx, alias, found.id)
    session.emit({"model": found.id, "alias": alias, "before": before})
    was = f" (before: {short(before)})" if before and before != found.id else ""
    session.say(f"[green]✓[/] {short(found.id)} is now [bold]{escape(alias)}[/]{was}")


@models.command("card", short_help="Purpose, data, figures and limits of a model.")
@click.argument("model", default="champion")
@workspace_command
def card(session: Session, model: str) -> None:
    """Print the model card of MODEL (face48, champion, the start of an id, or a folder) as Markdown.

    The bundled model face48 needs no workspace.
    """
    from emolab.errors import MissingExtra

    try:
        from emolab.training.judging.card import card as written
    except ImportError as error:
        raise MissingExtra("PyTorch", "train") from error
    folder = folder_of(session, model)
    text = written(folder)
    session.emit({"model": model, "folder": folder, "card": text})
    if not session.json:
        click.echo(text, nl=False)


def folder_of(session: Session, name: str) -> Path:
    """The checkpoint folder that ``name`` means: a folder, a bundled model, an alias or the start of an id.

    A workspace is looked for only where the name asks for one.
    """
    from emolab.errors import UnknownName
    from emolab.training.networks import bundled

    found = _outside(name)
    if found is not None:
        return found
    workspace = workspace_of(session)
    if workspace is None:
        raise UnknownName(
            "model",
            name,
            bundled.names(),
            hint="Models you trained are found in their workspace: emolab -w DIR COMMAND.",
        )
    return folder_in(workspace, name)


def folder_in(workspace: Workspace, name: str) -> Path:
    """The checkpoint folder that ``name`` means for a command that works in ``workspace``."""
    from emolab.catalog import models as catalog_models

    found = _outside(name)
    if found is not None:
        return found
    with workspace.catalog() as catalog, catalog.connect() as conn:
        return workspace.root / catalog_models.get(conn, name).path


def _outside(name: str) -> Path | None:
    from emolab.training.networks import bundled

    path = Path(name)
    return path if (path / "model.json").is_file() else bundled.folder(name)


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


def _row(model: Model) -> dict[str, Any]:
    valid = model.metrics["valid"]
    return {
        "id": model.id,
        "aliases": model.aliases,
        "backbone": model.config["backbone"],
        "created_at": model.created_at,
        "snapshot": model.snapshot,
        "parent": model.parent,
        "n_train": model.metrics["n_train"],
        **{key: valid.get(key) for key in ("n", "accuracy", "macro_f1", "nll", "ece")},
    }


def _cells(model: Model) -> tuple[str, ...]:
    row = _row(model)

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
