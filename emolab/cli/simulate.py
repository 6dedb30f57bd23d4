"""``emolab simulate``: labelling campaigns replayed on a data set that has all the votes already."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from emolab.cli.common import Session, escape, leak_option, within, workspace_command
from emolab.words import many

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emolab.loop.label.simulate import Simulated
    from emolab.workspace import Workspace

#: Rounds after the first.
ROUNDS = 8
#: Columns of the report's table that a terminal has room for.
SHOWN = (0, 2, 3, 4, 6, 8)


@click.command(short_help="Replay labelling campaigns on a voted data set.")
@click.argument("dataset", metavar="READER:PATH")
@click.option("--judge", metavar="READER:PATH",
              help="What judges [the split held out furthest, or a quarter of the images].")  # fmt: skip
@click.option("-o", "--option", "options", multiple=True, metavar="KEY=VALUE", help="A reader's option; repeatable.")
@click.option("--strategies", default="random,margin", show_default=True, metavar="A,B,C",
              help="Which are compared; random always takes part.")  # fmt: skip
@click.option("--seeds", type=within("option.seeds"), default=10, show_default=True, metavar="N",
              help="Campaigns per strategy; the same first samples and answers for all strategies.")  # fmt: skip
@click.option("--budget", type=within("option.count"), metavar="VOTES",
              help="Votes in all, the first ones included [16 times --start, half of the pool at most].")  # fmt: skip
@click.option("--start", type=within("option.count"), metavar="VOTES",
              help="Votes on the first, random samples [10 per class, times --votes].")  # fmt: skip
@click.option("--rounds", type=within("option.count"), default=ROUNDS, show_default=True, metavar="N",
              help="Rounds after the first, each a fixed factor larger.")  # fmt: skip
@click.option("--per-round", type=within("option.count"), metavar="VOTES",
              help="Rounds of equal size instead.")  # fmt: skip
@click.option("--votes", default="1", show_default=True, metavar="N|LOW..HIGH",
              help="Votes per sample; a range asks on where in doubt.")  # fmt: skip
@click.option("--price", default="1,1", show_default=True, metavar="FIRST,FURTHER",
              help="What the first vote on a sample costs, and each further one.")  # fmt: skip
@click.option("--oracle", default="counted", show_default=True, metavar="NAME",
              help="counted: the people who voted; shares: drawn from their shares; team: twelve who err.")  # fmt: skip
@click.option("--labels", "aggregator", metavar="NAME", help="How votes become labels [labeling.aggregator].")
@click.option("--mode", type=click.Choice(["frozen", "finetune"]), default="frozen", show_default=True,
              help="Only the last layer learns, or the whole network, in every round.")  # fmt: skip
@click.option("--features", "width", type=within("option.features"), default=128, show_default=True, metavar="N",
              help="Principal components of the frozen features.")  # fmt: skip
@click.option("--ceiling/--no-ceiling", default=True, show_default=True, help="Also label everything, once per seed.")
@click.option("--relearn", type=within("option.count"), metavar="VOTES",
              help="Also leave rounds half-way: in their order and in one renewed after so many votes.")  # fmt: skip
@leak_option
@click.option("--jobs", type=within("option.jobs"), default=1, show_default=True, metavar="N",
              help="Campaigns at a time, each in a process with one thread.")  # fmt: skip
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("simulation"), show_default=True,
              help="Where rounds and the report are kept.")  # fmt: skip
@workspace_command
def simulate(
    session: Session,
    dataset: str,
    *,
    judge: str | None,
    options: Sequence[str],
    strategies: str,
    seeds: int,
    budget: int | None,
    start: int | None,
    rounds: int,
    per_round: int | None,
    votes: str,
    price: str,
    oracle: str,
    aggregator: str | None,
    mode: str,
    width: int,
    ceiling: bool,
    relearn: int | None,
    allow_speaker_leak: bool,
    jobs: int,
    out: Path,
) -> None:
    """Replay whole campaigns on READER:PATH, where every vote is known, and say what each strategy would have saved.

    From the same random start every strategy chooses, hears the votes people gave, learns and is judged, until the
    budget is spent; seeds are compared in pairs. A stopped simulation goes on when the same command is run again;
    more strategies and seeds may be added later. No workspace is needed; with one, its classes and settings count.
    """
    from emolab.cli.merge import reader_options
    from emolab.loop.label.simulate import campaign_config
    from emolab.loop.label.simulate import simulate as run
    from emolab.loop.label.simulation.request import SimulationRequest

    request = SimulationRequest(
        dataset=dataset, judge=judge, options=reader_options(options),
        strategies=tuple(name.strip() for name in strategies.split(",")), seeds=seeds, budget=budget, start=start,
        rounds=rounds, per_round=per_round, votes=votes, price=price, oracle=oracle, aggregator=aggregator, mode=mode,
        features=width, ceiling=ceiling, relearn=relearn or 0, allow_speaker_leak=allow_speaker_leak, jobs=jobs,
        out=out,
    )  # fmt: skip
    config = campaign_config(request, _workspace(session), session.overrides, progress=session.progress)
    found = run(request, config=config, progress=session.progress)
    session.emit(found)
    _show(session, found)
    session.say(f"[green]✓[/] report: {escape(str(found.report))}")


def _workspace(session: Session) -> Workspace | None:
    """The workspace whose settings count; ``None`` where there is none and none was named."""
    from emolab.errors import ConfigError

    try:
        return session.workspace
    except ConfigError:
        if session.folder is not None:
            raise
        return None


def _show(session: Session, done: Simulated) -> None:
    from emolab.loop.label.simulation.page import COLUMNS, ORDER_COLUMNS, order_row, row

    about, found = done.about, done.strategies

    session.table(
        [(COLUMNS[i], "whole" if i in (0, 8) else "right") for i in SHOWN],
        [[row(one)[i] for i in SHOWN] for one in found],
        title=f"{many(about['seeds'], 'campaign')} per strategy, {about['budgets'][0]:,.0f} to "
        f"{about['budgets'][-1]:,.0f} votes, {about['n_pool']:,} samples, judged on {about['n_judge']:,}",
    )
    if done.orders:
        session.table(
            [(name, "whole" if i in (0, 4, 7) else "right") for i, name in enumerate(ORDER_COLUMNS)],
            [order_row(one) for one in done.orders],
            title=f"A round left half-way: gains in points where the queue learns after every "
            f"{many(about['relearn'], 'vote')}",
        )
    needed = done.seeds_needed
    if about["seeds"] < needed:
        session.say(f"[yellow]![/] too few seeds for p to show any difference: --seeds {needed} or more")
    if about["everything"]:
        top = about["everything"]
        session.say(
            f"  everything labelled ({top['votes']:,.0f} votes): accuracy {top['accuracy']:.1%}, "
            f"macro-F1 {top['macro_f1']:.3f}"
        )
