"""``emolab label push``: samples go to the team."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from emolab.cli.common import Session, workspace_command

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emolab.labeling.push import PushReport


@click.command(short_help="Send samples to the team.")
@click.option("--n", "-n", type=click.IntRange(min=1), metavar="N", help="The first N samples nobody has labelled.")
@click.option("--suggestions", is_flag=True, help='What "emolab suggest" proposed and nobody has received yet.')
@click.option(
    "--overlap",
    type=click.IntRange(1, 100),
    metavar="K",
    help="People who see each sample of the project [as it is; 3].",
)
@click.option("--project", "title", metavar="NAME", help='Project in Label Studio ["emolab <workspace>"].')
@click.option("--show-predictions", is_flag=True, default=None, help="Show the model's guess (this biases people).")
@click.option("--dry-run", is_flag=True, help="Say what would be sent, and send nothing.")
@workspace_command
def push(
    session: Session,
    *,
    n: int | None,
    suggestions: bool,
    overlap: int | None,
    title: str | None,
    show_predictions: bool | None,
    dry_run: bool,
) -> int:
    """Send samples to the team's project in Label Studio, in the order that matters most.

    Without --n or --suggestions: the pending suggestions if there are any, else every unlabelled sample. Safe to
    repeat, to stop, and to run from several machines: a sample gets one task.
    """
    if n is not None and suggestions:
        raise click.UsageError("Give --n or --suggestions, not both.")
    from emolab.labeling.address import open_studio
    from emolab.labeling.push import push as run

    visible = session.workspace.config.labeling.show_predictions if show_predictions is None else show_predictions
    with open_studio(session.workspace) as studio:
        report = run(
            session.workspace,
            studio,
            n=n,
            suggestions=suggestions,
            overlap=overlap,
            title=title,
            show_predictions=visible,
            guesses=_guesses(session) if visible else {},
            dry_run=dry_run,
            progress=session.progress,
        )
    session.emit(report)
    _show(session, report, overlap_given=overlap is not None)
    return 1 if report.missing else 0


def _guesses(session: Session) -> Mapping[str, str]:
    """The newest model's class for every sample it has predictions for."""
    from emolab import predictions
    from emolab.catalog import models
    from emolab.errors import DataError

    with session.workspace.catalog() as catalog, catalog.connect() as conn:
        known = models.list_all(conn)
    for model in reversed(known):
        folder = session.workspace.predictions / model.id
        if predictions.known(folder):
            stored = predictions.read(folder)
            best = stored.probs.argmax(axis=1)
            return {sample: stored.classes[c] for sample, c in zip(stored.samples, best, strict=True)}
    raise DataError("There are no predictions to show.", hint="Make some with: emolab train && emolab suggest -n 100")


def _show(session: Session, report: PushReport, *, overlap_given: bool) -> None:
    if report.note:
        session.say(f"[green]✓[/] nothing to push: {report.note}")
        session.next_step("emolab label pull")
        return
    rows = [
        ("would be sent" if report.dry_run else "new tasks", report.created),
        ("left over from an earlier push", report.resumed),
        ("found there already", report.adopted),
        ("asked for one more opinion", report.reopened),
        ("doubles removed", report.twins_removed),
        ("broken requests looked up", report.looked_up),
        ("deleted there, left alone", report.deleted_there),
        ("file missing or unreadable", len(report.missing)),
    ]
    always = rows[:1]
    shown = [(what, f"{count:,}") for what, count in rows if count or (what, count) in always]
    what = "Would push" if report.dry_run else "Pushed"
    if not report.dry_run:
        shown.append(("waiting for the team now", f"{report.waiting:,}"))
    session.table([f"{what} {report.source} to “{report.project}”", ("", "right")], shown)
    _labels(session, report)
    for sample in report.missing[:5]:
        session.say(f"[yellow]![/] the file of sample {sample[:12]} is missing or no image; run emolab collect again")
    wanted = session.workspace.config.labeling.overlap
    if wanted != report.overlap and not overlap_given:
        session.say(
            f"[dim]labeling.overlap is {wanted}; to change the whole project: emolab label push --overlap {wanted}[/]"
        )
    if report.dry_run:
        session.next_step("the same without --dry-run")
        return
    session.say(f"[green]✓[/] {report.overlap} people see each sample · {report.seconds:.1f} s · {report.url}")
    session.next_step("emolab label pull, once people have answered")


def _labels(session: Session, report: PushReport) -> None:
    if report.labels_kept:
        names = ", ".join(report.labels_kept)
        session.say(f"[yellow]![/] no class any more, but used in answers, so kept on the form: {names}")
    if report.labels_added and not report.new_project:
        session.say(f"[cyan]+[/] added to the form: {', '.join(report.labels_added)}")
    if report.labels_removed:
        session.say(f"[cyan]-[/] taken off the form (never used): {', '.join(report.labels_removed)}")
