"""``emolab label aggregate``: votes become labels."""

from __future__ import annotations

import click

from emolab.cli.common import Session, escape, within, workspace_command
from emolab.words import many, short


@click.command(short_help="Turn the team's votes into labels.")
@click.option("--method", metavar="NAME", help="majority, soft, dawid_skene, hybrid or a plugin [hybrid].")
@click.option(
    "--min-votes", type=within("labeling.min_votes"), metavar="N", help="Leave out samples with fewer people [1]."
)
@workspace_command
def aggregate(session: Session, method: str | None, min_votes: int | None) -> None:
    """Turn all votes into one distribution over the classes per sample.

    The result is a new version of the labels, named by a hash of votes and settings; running it again without
    new votes changes nothing. Votes are never changed. These are the current labels from now on: when votes change,
    train and the other commands make them again in the same way.
    """
    from emolab.cli.common import bar
    from emolab.loop.label.aggregate import aggregate as run

    found = run(session.workspace, method=method, min_votes=min_votes)
    session.emit(found)
    done, rows = found.made, found.per_class
    labels = done.labels
    largest = max(row["share"] or 0.0 for row in rows.values())
    session.table(
        ["class", ("samples", "right"), ("share", "right"), "", ("agreement", "right")],
        [
            (
                name,
                f"{row['samples']:,}",
                f"{row['share']:.0%}",
                bar((row["share"] or 0.0) / largest, 16),
                "–" if row["agreement"] is None else f"{row['agreement']:.2f}",
            )
            for name, row in rows.items()
        ],
        title=f"{many(len(labels.samples), 'label')} by {escape(str(done.recipe))}",
    )
    session.say(
        f"{many(done.votes, 'vote')} of {many(done.annotators, 'annotator')}; version [bold]{short(labels.version)}[/]"
        + ("" if done.new else ", unchanged")
        + "."
    )
    if (both := found.perspectives) is not None:
        session.say(
            f"{many(both.samples, 'sample has', 'samples have')} votes on what is perceived and on what was intended; "
            f"their labels are of the {done.recipe.perspective} alone (labeling.perspective). How far both agree: "
            "emolab label status"
        )
    if done.several is not None:
        each = ", ".join(f"{escape(name)} {row['label_of']:,}" for name, row in rows.items() if row["label_of"])
        session.say(f"{many(int(done.several.sum()), 'label')} with those beside the leading one: {each}.")
    tied = many(done.ties, "sample has", "samples have")
    for n, line in (
        (done.ties, f"{tied} no single most voted class; the method decides between the tied ones"),
        (done.too_few, f"{_left_out(done.too_few)}: too few votes"),
        (done.set_aside, f"{_left_out(done.set_aside)}: half or more of the people say no face, several or unknown"),
    ):
        if n:
            session.say(f"[dim]{line}.[/]")
    session.next_step("emolab train")


def _left_out(n: int) -> str:
    return many(n, "sample is left out", "samples are left out")
