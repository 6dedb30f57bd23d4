"""``emolab evaluate``: how good a model is on a split or on an open dataset."""

from __future__ import annotations

import click

from emolab.cli.common import Session, device_option, flips_option, workspace_command
from emolab.words import short

#: Exit code of a model that was judged and is not good enough.
NOT_GOOD_ENOUGH = 3


@click.command(short_help="Judge a model on a split or on an open dataset.")
@click.argument("model")
@click.option("--on", "where", required=True, metavar="SPLIT|READER:PATH",
              help="train, valid, test or holdout here, or a dataset such as ferplus:FILE.zip.")  # fmt: skip
@click.option("--protocol", metavar="NAME", help="How a dataset's votes become answers [ferplus: majority].")
@click.option("--split", metavar="NAME", help="Which split of the dataset [the one held out furthest].")
@click.option("--fail-under", "floors", multiple=True, metavar="FIGURE=NUMBER",
              help="End with exit code 3 where a figure is lower, such as macro_f1=.75; repeatable.")  # fmt: skip
@flips_option
@device_option
@workspace_command
def evaluate(
    session: Session,
    model: str,
    *,
    where: str,
    protocol: str | None,
    split: str | None,
    floors: tuple[str, ...],
    flips: bool | None,
    device: str | None,
) -> int:
    """Judge MODEL (champion, the start of an id, or a checkpoint folder) and print accuracy, macro-F1, calibration.

    With --fail-under it is a step of a pipeline: exit code 3 where the model is judged and not good enough. Figures are
    accuracy, macro_f1, balanced_accuracy, micro_f1 and exact (several labels a sample), and n, the samples judged.
    """
    from emolab.cli.common import escape
    from emolab.cli.ui.comparison_table import show_learned, show_speakers
    from emolab.cli.ui.metrics_table import show_metrics
    from emolab.cli.ui.model_options import device_of, folder_of
    from emolab.loop.model.evaluate import check_place
    from emolab.loop.model.evaluate import evaluate as run
    from emolab.records import HOLDOUT, SPLITS
    from emolab.stats.floors import below, parse

    wanted = parse(floors)
    check_place(where)
    done = run(
        folder_of(session, model),
        where,
        workspace=session.workspace if where in (*SPLITS, HOLDOUT) else None,
        protocol=protocol,
        split=split,
        flips=flips,
        device=device_of(session, device),
        progress=session.progress,
    )
    session.emit(done)
    found = done.figures
    alone = "each image with its mirror image" if done.flips else "each sample alone"
    session.say(f"[dim]{escape(found['protocol'])}; {alone}[/]")
    if found.get("normalised_by"):
        session.say(f"[dim]normalised by {found['normalised_by']}: the clips judged took part, their labels did not[/]")
    for line in found["errors"]:
        session.say(f"[yellow]left out:[/] {escape(line)}")
    if found["unreadable"] > len(found["errors"]):
        session.say(f"[yellow]left out:[/] {found['unreadable'] - len(found['errors']):,} more")
    show_learned(session, found["learned"], found)
    show_speakers(session, found.get("speakers"))
    title = f"Model {short(done.model)} on {escape(where)}"
    show_metrics(session, found, title=title, before=found.get("before_temperature"))
    short_of = below(found, wanted)
    for line in short_of:
        click.echo(f"not good enough: {line}", err=True)
    return NOT_GOOD_ENOUGH if short_of else 0
