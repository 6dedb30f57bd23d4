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
    from emolab.datasets.inspect.fiftyone_view import Pull, Report
    from emolab.records import Predictions
    from emolab.workspace import Workspace

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
    workspace = session.workspace
    from emolab.datasets.inspect import mongod

    with session.progress.task("starting FiftyOne"):
        address = mongod.database(workspace.fiftyone)
        from emolab.datasets.inspect import fiftyone_view

        fiftyone_view.connect(address)
    if annotator is not None:
        return _pulled(session, fiftyone_view.pull(workspace, address, annotator=annotator))
    from emolab.labeling.labels.current_labels import labels_if_any

    if workspace.read_only:
        session.progress.note(
            f"The workspace may only be read, so labels and predictions are shown as they are. The view lies in "
            f"{workspace.fiftyone}."
        )
    else:
        labels_if_any(workspace, progress=session.progress)
    report = fiftyone_view.write(
        workspace, address, predictions=_predictions(session, model), progress=session.progress
    )
    _written(session, report)
    if no_app:
        session.next_step("emolab inspect")
        return 0
    with contextlib.redirect_stdout(sys.stderr), fiftyone_view.app(workspace, address, port=port) as url:
        session.say(f"\n  [bold cyan]{url}[/]\n\n  Ctrl-C ends it.")
        _until_stopped()
    session.say("stopped.")
    session.next_step("emolab inspect --pull --annotator NAME, if you tagged or edited something")
    return 0


def _predictions(session: Session, name: str) -> Predictions | None:
    """What the model says about the samples, computed where it is missing and training is installed."""
    from importlib.util import find_spec

    from emolab.catalog import models, samples
    from emolab.inference import prediction_store

    workspace: Workspace = session.workspace
    with workspace.catalog() as catalog, catalog.connect() as conn:
        model = models.find(conn, name) if name == "champion" else models.get(conn, name)
        total = samples.count(conn)
    if model is None or total == 0:
        return None
    classes = workspace.config.project.classes
    if set(model.classes) != set(classes):
        session.progress.note(
            f"Model {short(model.id)} has other classes than the project; its predictions are left out."
        )
        return None
    folder = workspace.predictions / model.id
    stored = len(prediction_store.known(folder))
    if stored < total and not workspace.read_only and find_spec("torch") and (workspace.root / model.path).is_dir():
        from emolab.training.predict import predict_pool

        return prediction_store.in_order(predict_pool(workspace, model, progress=session.progress), classes)
    if stored < total:
        session.progress.note(
            f"Model {short(model.id)} has seen {stored:,} of {total:,} samples; the rest show no prediction."
        )
    return prediction_store.in_order(prediction_store.read(folder), classes) if stored else None


def _written(session: Session, report: Report) -> None:
    tally = report.tally
    session.emit(
        {
            "dataset": report.dataset,
            "samples": report.samples,
            "added": tally.added,
            "changed": tally.changed,
            "unchanged": tally.unchanged,
            "removed": tally.removed,
            "edits_not_pulled": len(tally.kept),
            "views": report.views,
            "path": report.path,
        }
    )
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


def _pulled(session: Session, pull: Pull) -> int:
    session.emit(
        {
            "new": pull.new,
            "withdrawn": pull.withdrawn,
            "known": pull.known,
            "problems": [{"sample": uid, "problem": line} for uid, line in pull.problems],
        }
    )
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
