"""``emolab simulate``: labelling campaigns replayed on a data set that has all the votes already."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from emolab.cli.common import Session, escape, within, workspace_command
from emolab.words import many

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from emolab.active_learning.simulation.compare import Verdict
    from emolab.active_learning.simulation.vote_costs import Votes
    from emolab.config import Config
    from emolab.loop.label.simulate import Sides

#: First samples, rounds and the budget where none are named: votes per class, and times the first samples.
START, ROUNDS, TIMES = 10, 8, 16
#: More than this share of images that the start network has learned, and a campaign is refused.
LEARNED = 0.01
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
    jobs: int,
    out: Path,
) -> None:
    """Replay whole campaigns on READER:PATH, where every vote is known, and say what each strategy would have saved.

    From the same random start every strategy chooses, hears the votes people gave, learns and is judged, until the
    budget is spent; seeds are compared in pairs. A stopped simulation goes on when the same command is run again;
    more strategies and seeds may be added later. No workspace is needed; with one, its classes and settings count.
    """
    from emolab.active_learning.simulation.campaign import EVERYTHING, check, worth
    from emolab.active_learning.simulation.compare import CONTROL, verdicts
    from emolab.active_learning.simulation.curves import curves
    from emolab.active_learning.simulation.oracle import ORACLES
    from emolab.active_learning.simulation.simulate import simulate as play
    from emolab.active_learning.simulation.vote_costs import Votes
    from emolab.cli.merge import reader_options
    from emolab.datasets.benchmark_set import is_spec
    from emolab.errors import MissingExtra, UnknownName
    from emolab.loop.label.simulate_page import picture, render
    from emolab.plugins import AGGREGATORS, READERS, STRATEGIES
    from emolab.workspace import write_text

    try:
        from emolab.loop.label.simulate import alone, divide, field_of, open_stage, prepare, terms_of
        from emolab.training import simulation_trainer  # noqa: F401  what frozen features and fine-tuning need
    except ImportError as error:
        raise MissingExtra("PyTorch", "train") from error
    for spec in filter(None, (dataset, judge)):
        if not is_spec(spec):
            raise UnknownName("reader", spec.partition(":")[0], READERS.names(), hint="A data set is READER:PATH.")
    names = list(dict.fromkeys([CONTROL, *(name.strip() for name in strategies.split(",") if name.strip())]))
    for name in names:
        STRATEGIES.load(name)
    read_with = reader_options(options)
    config = _config(session, dataset, read_with)
    aggregator = aggregator or config.labeling.aggregator
    AGGREGATORS.load(aggregator)
    if oracle not in ORACLES:
        raise UnknownName("oracle", oracle, ORACLES)
    asking = Votes.parse(votes, _prices(price), sure=config.labeling.sure)
    _distinct(config, dataset)

    classes = config.project.classes
    sides = _unlearned(session, config, divide(dataset, judge, classes, options=read_with), mode=mode)
    field = field_of(sides)
    budgets = plan_budgets(
        asking,
        k=len(classes),
        most=worth(field, asking),
        start=start,
        budget=budget,
        rounds=rounds,
        per_round=per_round,
    )
    terms = {
        "budgets": budgets,
        "votes": votes,
        "price": list(asking.price),
        "sure": asking.sure,
        "aggregator": aggregator,
        "prior": config.labeling.prior,
        "oracle": oracle,
    }
    check(field, terms_of(terms))
    session.say(f"[dim]judge: {escape(sides.protocol)}[/]")
    everybody = [*names, EVERYTHING] if ceiling else names
    with alone(out):
        prepare(out, sides, terms, config.training, mode=mode, width=width, progress=session.progress)
        played = play(out, open_stage, everybody, range(seeds), jobs=jobs, progress=session.progress)
    whole = [one for one in played if one.strategy == EVERYTHING]
    campaigns = [one for one in played if one.strategy != EVERYTHING]
    found = verdicts(campaigns, budgets, whole=whole)
    about = {
        "dataset": dataset,
        "judge": sides.protocol,
        "n_pool": len(field.samples) - int(sides.excluded.sum()),
        "n_judge": len(sides.judges),
        "near_copies_of_judged": int(sides.excluded.sum()),
        "classes": list(classes),
        "mode": mode,
        "backbone": config.training.backbone,
        "weights": config.training.weights,
        "features": width if mode == "frozen" else None,
        "votes": votes,
        "price": list(asking.price),
        "oracle": oracle,
        "labels": aggregator,
        "seeds": seeds,
        "budgets": budgets,
        "everything": _mean(whole),
    }
    write_text(out / "report.html", render(about, found, campaigns))
    write_text(out / "curves.svg", picture(curves(campaigns, budgets, "accuracy"), "accuracy"))
    session.emit({**about, "strategies": found, "report": str(out / "report.html")})
    _show(session, about, found)
    session.say(f"[green]✓[/] report: {escape(str(out / 'report.html'))}")


def plan_budgets(
    asking: Votes,
    *,
    k: int,
    most: float,
    start: int | None,
    budget: int | None,
    rounds: int,
    per_round: int | None,
) -> list[float]:
    """Votes spent at the end of each round, rising: by a fixed factor, or by ``per_round``.

    ``k`` classes and what all samples are worth (``most``) decide what is not given: half of that at most, for where
    everything is asked about all strategies end alike. Raises :class:`ConfigError` for a budget below the start.
    """
    from math import ceil

    from emolab.errors import ConfigError

    begin = float(start or START * k * asking.least)
    last = float(budget or min(TIMES * begin, int(most) // 2))
    if last <= begin and budget is None:
        raise ConfigError(
            f"The pool is worth {most:,.0f} votes; half of it is not larger than the start of {begin:,.0f}.",
            hint=f"Lower --start, for example to {max(int(most) // 8, ceil(asking.least))}; or name a --budget.",
        )
    if last <= begin:
        raise ConfigError(
            f"The budget of {last:,.0f} is not larger than the start of {begin:,.0f}.",
            hint="Raise --budget or lower --start.",
        )
    if per_round:
        steps = [begin]
        while steps[-1] + per_round < last:
            steps.append(steps[-1] + per_round)
        return [*steps, last]
    factor = (last / begin) ** (1 / rounds)
    found = [float(round(begin * factor**number)) for number in range(rounds)]
    return sorted({*found, last})


def _config(session: Session, dataset: str, options: Mapping[str, str]) -> Config:
    """The workspace's settings where there is one, else the defaults, with the classes of the data set if need be."""
    from dataclasses import replace

    from emolab import config as configuration
    from emolab.config import Config, ProjectConfig
    from emolab.datasets.voted_dataset import label_names
    from emolab.errors import ConfigError
    from emolab.taxonomy import META, resolve

    try:
        return session.workspace.config
    except ConfigError:
        if session.folder is not None:
            raise
    found = configuration.apply(Config(), session.overrides)
    if any(text.strip().startswith("project.classes") for text in session.overrides):
        return found
    names = [name for name in label_names(dataset, options=options) if resolve(name, META) is None]
    known = [name for name in names if resolve(name, found.project.classes) is not None]
    if len(known) == len(names) or len(known) > 1:
        return found
    session.progress.note(f"Classes are the labels of the data set: {', '.join(names)}.")
    return replace(found, project=ProjectConfig(classes=tuple(names)))


def _prices(text: str) -> tuple[float, float]:
    """``"1,0.5"``: what the first vote costs and each further one; a single number is both."""
    from emolab.errors import ConfigError

    first, _, further = text.partition(",")
    try:
        return float(first), float(further or first)
    except ValueError:
        raise ConfigError(f'"{text}" is no price.', hint="Write two numbers: --price 1,0.5") from None


def _distinct(config: Config, dataset: str) -> None:
    """Refuse features that have learned from the very votes that are to be played."""
    from emolab.errors import ConfigError

    training = config.training
    if (training.backbone, training.weights) == ("face48", "default") and dataset.startswith(("ferplus:", "fer2013:")):
        raise ConfigError(
            "face48 was trained on the votes of FER+, so a campaign on them would know the answers beforehand.",
            hint="Take others: --set training.backbone=mobilenet_v2 --set training.weights=PATH; or learn everything "
            "from scratch: --mode finetune --set training.backbone=tiny",
        )


def _unlearned(session: Session, config: Config, sides: Sides, *, mode: str) -> Sides:
    """``sides``, unless the start network has learned their images, whatever they are called; a few are only said."""
    from emolab.errors import ConfigError
    from emolab.training.learned import ancestry, fingerprints

    training = config.training
    record = ancestry.of_start(training.backbone, training.weights)
    for line in record.unknown:
        session.progress.warn(f"Unknown: {line}. It may have learned the images of this campaign.")
    if not record.layers:
        return sides
    media = [*(sides.pool.media[row] for row in sides.asked), *(sides.judge.media[row] for row in sides.judges)]
    n = int(record.has(fingerprints.of_media(media, progress=session.progress)).sum())
    if n > LEARNED * len(media) + 1:
        how = "" if mode == "finetune" else " --set training.weights=PATH"
        raise ConfigError(
            f"{training.backbone} has learned {n:,} of these {len(media):,} images, so a campaign on them would know "
            "the answers beforehand.",
            hint=f"Take another network: --set training.backbone=mobilenet_v2{how}; or learn everything from scratch: "
            "--mode finetune --set training.backbone=tiny",
        )
    if n:
        session.progress.note(f"{training.backbone} has learned about {n:,} of these {len(media):,} images.")
    return sides


def _mean(whole: Sequence[Any]) -> dict[str, float] | None:
    if not whole:
        return None
    scores = {name: sum(one.scores[name] for one in whole) / len(whole) for name in whole[0].scores}
    return {**scores, "votes": float(whole[0].votes), "samples": float(whole[0].samples)}


def _show(session: Session, about: dict[str, Any], found: Sequence[Verdict]) -> None:
    from emolab.active_learning.simulation.compare import seeds_to_tell
    from emolab.loop.label.simulate_page import COLUMNS, row

    session.table(
        [(COLUMNS[i], "whole" if i in (0, 8) else "right") for i in SHOWN],
        [[row(one)[i] for i in SHOWN] for one in found],
        title=f"{many(about['seeds'], 'campaign')} per strategy, {about['budgets'][0]:,.0f} to "
        f"{about['budgets'][-1]:,.0f} votes, {about['n_pool']:,} samples, judged on {about['n_judge']:,}",
    )
    needed = seeds_to_tell(len(found) - 1)
    if about["seeds"] < needed:
        session.say(f"[yellow]![/] too few seeds for p to show any difference: --seeds {needed} or more")
    if about["everything"]:
        top = about["everything"]
        session.say(
            f"  everything labelled ({top['votes']:,.0f} votes): accuracy {top['accuracy']:.1%}, "
            f"macro-F1 {top['macro_f1']:.3f}"
        )
