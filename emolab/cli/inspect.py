"""``emolab inspect``: look at the workspace in FiftyOne, and bring back what people changed there."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from typing import TYPE_CHECKING

import click

from emolab.cli.common import Session, escape, within, workspace_command
from emolab.words import many, short

if TYPE_CHECKING:
    from emolab.datasets.inspect.fiftyone_view import AppEdits, ViewReport

SHOWN = 20


@click.command(short_help="Look at the workspace in FiftyOne.")
@click.option("--no-app", is_flag=True, help="Write the dataset only; do not open the App.")
@click.option("--port", type=within("inspect.port"), help="Port of the App [5151, or the next free one].")
@click.option("--pull", "bring_back", is_flag=True, help="Bring tags and labels that were changed in the App back as votes.")  # fmt: skip  # noqa: E501
@click.option("--annotator", metavar="NAME", help="Whose votes those are; needed with --pull.")
@click.option("--model", metavar="NAME", default="champion", show_default=True, help="Whose predictions to show.")
@workspace_command
def inspect(
    session: Session, *, no_app: bool, port: int | None, bring_back: bool, annotator: str | None, model: str
) -> int:
    """Write the workspace into a FiftyOne dataset and open its App on this machine; Ctrl-C ends it.

    Votes, labels, predictions, suggestions and duplicates are there to filter and sort by; the saved views are
    "suggested now", "annotators disagree", "model disagrees" and "duplicates". Running it again rewrites only what
    changed; tags that people made stay.

    To vote in the App, tag samples with label:CLASS (or unknown, no_face, multiple), or edit the field "label"; then
    run: emolab inspect --pull --annotator NAME. Removing such a tag and pulling again takes the vote back.
    """
    if bring_back != (annotator is not None):
        raise click.UsageError("--pull and --annotator NAME belong together.")
    from emolab.loop.data.inspect import app, pull_edits
    from emolab.loop.data.inspect import inspect as run

    workspace = session.workspace
    if annotator is not None:
        return _pulled(session, pull_edits(workspace, annotator=annotator, progress=session.progress))
    report = run(workspace, model=model, progress=session.progress)
    _written(session, report)
    if no_app:
        session.next_step("emolab inspect")
        return 0
    with contextlib.redirect_stdout(sys.stderr), app(workspace, port=port) as url:
        session.say(f"\n  [bold cyan]{url}[/]\n\n  Ctrl-C ends it.")
        _until_stopped()
    session.say("stopped.")
    session.next_step("emolab inspect --pull --annotator NAME, if you tagged or edited something")
    return 0


def _written(session: Session, report: ViewReport) -> None:
    tally = report.tally
    session.emit(report)
    parts = [
        f"{count:,} {what}"
        for count, what in ((tally.added, "added"), (tally.changed, "changed"), (tally.removed, "removed"))
        if count
    ]
    session.say(
        f"[green]✓[/] FiftyOne dataset [bold]{escape(report.dataset)}[/]: {many(report.samples, 'sample')} "
        f"({', '.join(parts) or 'nothing changed'})"
    )
    session.table(["saved view", ("samples", "right")], [(name, f"{n:,}") for name, n in report.views.items()])
    if tally.kept:
        session.say(
            f"[yellow]![/] labels edited in the App that are not votes yet, left as they are: {len(tally.kept):,}"
        )
        session.next_step("emolab inspect --pull --annotator NAME")


def _pulled(session: Session, pull: AppEdits) -> int:
    session.emit(pull)
    session.say(f"[green]✓[/] {many(pull.new, 'new vote')}, {pull.withdrawn:,} taken back, {pull.known:,} known before")
    if pull.problems:
        session.say(f"[yellow]![/] {many(len(pull.problems), 'change was', 'changes were')} left alone:")
        for uid, line in pull.problems[:SHOWN]:
            session.say(f"  sample [bold]{short(uid)}[/] {escape(line)}")
        if len(pull.problems) > SHOWN:
            session.say(f"  and {len(pull.problems) - SHOWN:,} more; --json lists them all")
        return 1
    if pull.new or pull.withdrawn:
        session.next_step("emolab label aggregate")
    return 0


def _until_stopped() -> None:
    """Wait for Ctrl-C or a request to terminate."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()
