"""``emolab demo``: what emolab saves, shown in minutes on samples that it makes, with a page to look at."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from emolab.cli.common import Session, escape, within, workspace_command
from emolab.words import many

if TYPE_CHECKING:
    from emolab.demonstration.demo import Demonstration


@click.command(short_help="Show what emolab saves, on drawn faces, made voices, sentences or your data, in minutes.")
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path), default="demo", metavar="[DIR]")
@click.option(
    "--modality",
    type=click.Choice(["image", "audio", "text"]),
    default="image",
    show_default=True,
    help="image: faces | audio: voices | text: sentences.",
)
@click.option(
    "--data", metavar="READER:PATH", help="Real samples with votes, such as ferplus:PATH, instead of made ones."
)
@click.option("--rounds", type=click.IntRange(1, 20), default=3, show_default=True, help="Labelling rounds.")
@click.option(
    "--per-round",
    type=click.IntRange(10, 2000),
    default=60,
    show_default=True,
    help="Samples a round the usual way, three votes each; emolab spends as many votes.",
)
@click.option(
    "--pool",
    type=click.IntRange(20, 1_000_000),
    metavar="N",
    help="Samples to choose from [two for each vote, 1,000 at least].",
)
@click.option("--strategy", metavar="NAME", help="How emolab chooses. Default: suggest.strategy.")
@click.option(
    "--seeds",
    type=within("option.seeds"),
    default=12,
    show_default=True,
    metavar="N",
    help="Campaigns of each way that are replayed for the headline.",
)
@click.option(
    "--seed", type=within("training.seed"), default=0, show_default=True, help="Same seed, same samples and picks."
)
@workspace_command
def demo(
    session: Session,
    directory: Path,
    *,
    modality: str,
    data: str | None,
    rounds: int,
    per_round: int,
    pool: int | None,
    strategy: str | None,
    seeds: int,
    seed: int,
) -> None:
    """Compare the usual way to label, random samples with three votes each, with emolab's, for the same votes.

    emolab suggests the samples, asks again only where in doubt, and weighs people by their reliability. Both ways are
    replayed many times, which gives the headline: how many times fewer votes the same accuracy takes. One campaign of
    each is real but for the people: Label Studio runs, five users sign up and answer its queue, votes are pulled,
    aggregated and trained on. DIR (default: demo) is removed and made again; it holds the two workspaces and
    report.html.
    """
    from emolab.cli.ui.signals import terminated_like_ctrl_c
    from emolab.demonstration.demo import OVERLAP, DemoOptions, demonstrate

    options = DemoOptions(
        modality=modality,
        data=data,
        rounds=rounds,
        per_round=per_round,
        pool=pool,
        strategy=strategy,
        seeds=seeds,
        seed=seed,
    )
    session.say(
        f"[bold]emolab demo[/] [dim]{many(rounds, 'round')} of {OVERLAP * per_round} votes each way, "
        f"{many(seeds, 'campaign')} of each replayed[/]\n"
    )
    with terminated_like_ctrl_c():
        made = demonstrate(directory.resolve(), options, say=session.say, progress=session.progress)
    _summary(session, made)
    session.emit(_data(made))


def _summary(session: Session, made: Demonstration) -> None:
    from emolab.demonstration.headline import headline, minutes, sentence
    from emolab.demonstration.policies import EMOLAB

    arms, saving = made.campaigns.arms, made.replay.savings[EMOLAB]
    nouns = made.campaigns.data.kind.nouns
    session.table(
        ("campaign", ("votes", "right"), (nouns, "right"), ("accuracy", "right"), ("macro-F1", "right"),
         ("ECE", "right")),
        [
            (
                f"{arm.policy.title} ({arm.policy.strategy}, {arm.policy.votes} votes, {arm.policy.aggregator})",
                f"{arm.curve[-1].votes:,}",
                f"{arm.curve[-1].labelled:,}",
                f"{arm.curve[-1].accuracy:.1%}",
                f"{arm.curve[-1].macro_f1:.3f}",
                f"{arm.curve[-1].ece:.3f}",
            )
            for arm in arms.values()
        ],
        title=f"One campaign each, judged on {len(made.campaigns.data.truth):,} {nouns} nobody was asked about",
    )  # fmt: skip
    session.say(f"\n[bold green]{headline(saving)}.[/]\n{sentence(made.replay, saving)}")
    if made.dataset is None:
        session.say(f"\n[yellow]![/] no FiftyOne dataset: {escape(made.no_dataset)}")
    session.say(f"\n  the page      [bold cyan]{escape(made.page.as_uri())}[/]")
    chosen = shlex.quote(str(arms[EMOLAB].workspace.root))
    session.say(f"  the dataset   [bold cyan]emolab -w {escape(chosen)} inspect[/]")
    session.say(f"  [dim]{minutes(made.seconds)} in all[/]")


def _data(made: Demonstration) -> dict[str, object]:
    from emolab.demonstration.headline import headline
    from emolab.demonstration.policies import EMOLAB

    replay = made.replay
    return {
        "headline": headline(replay.savings[EMOLAB]),
        "replay": {
            "pool": replay.pool,
            "judge": replay.judge,
            "seeds": replay.seeds,
            "budgets": replay.budgets,
            "savings": replay.savings,
            "curves": {name: curve.mean.tolist() for name, curve in replay.curves.items()},
            "samples": replay.samples,
        },
        "report": str(made.page),
        "fiftyone_dataset": made.dataset,
        "seconds": round(made.seconds, 1),
        "judge": len(made.campaigns.data.truth),
        "arms": {
            name: {"policy": arm.policy, "workspace": str(arm.workspace.root), "curve": arm.curve}
            for name, arm in made.campaigns.arms.items()
        },
    }
