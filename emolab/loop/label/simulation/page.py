"""The report of a simulation: curves with bands, and a table one can decide by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from emolab.active_learning.simulation.compare import CONTROL, Reached, StrategyVerdict, seeds_to_tell
from emolab.active_learning.simulation.curves import Curves, curves
from emolab.active_learning.simulation.partial_rounds import OrderVerdict
from emolab.active_learning.simulation.records import SimulatedRound
from emolab.pages.charts import alone, line
from emolab.pages.html import DRAWN, PALETTE, Section, Tile, columns, facts, page, paragraph, table
from emolab.pages.svg_elements import Series, percent
from emolab.words import many

COLUMNS = (
    "strategy", "accuracy", "gain", "p", "final", "macro-F1", "gain in F1", "p of F1", "votes saved", "CPU-s",
)  # fmt: skip
ORDER_COLUMNS = ("strategy", "round done", "accuracy", "gain", "95 %", "macro-F1", "gain in F1", "95 % of F1")
#: From where on a difference is called one.
SURE = 0.05
#: Numbers of the page's colours: random's, and those of the others in turn.
GRAY, COLORS = 6, (1, 2, 3, 4, 5, 7, 8, 9)


def row(one: StrategyVerdict) -> list[str]:
    """One strategy as the cells of :data:`COLUMNS`; gains in points with their standard error, p after Holm."""
    control = one.strategy == CONTROL
    return [
        one.strategy,
        f"{100 * one.area:.1f}",
        "" if control else gained(one.gain, one.error),
        "" if control else probability(one.p_holm),
        f"{100 * one.final:.1f}",
        f"{100 * one.area_f1:.1f}",
        "" if control else gained(one.gain_f1, one.error_f1),
        "" if control else probability(one.p_f1_holm),
        times(one),
        f"{one.select_s:.1f}",
    ]


def order_row(one: OrderVerdict) -> list[str]:
    """What a queue that learns is worth after a share of a round, as the cells of :data:`ORDER_COLUMNS`; in points."""
    return [
        one.strategy,
        f"{one.share:.0%}",
        f"{100 * one.accuracy:.1f}",
        f"{100 * one.gain:+.2f}",
        _between(one.low, one.high),
        f"{100 * one.macro_f1:.1f}",
        f"{100 * one.gain_f1:+.2f}",
        _between(one.low_f1, one.high_f1),
    ]


def _between(low: float, high: float) -> str:
    """An interval in points; nothing where a single seed has none."""
    return f"{100 * low:+.2f} to {100 * high:+.2f}" if np.isfinite(low) else ""


def gained(gain: float, error: float) -> str:
    """A gain in points with its standard error, which a single pair has not."""
    return f"{100 * gain:+.2f} ± {100 * error:.2f}" if np.isfinite(error) else f"{100 * gain:+.2f}"


def probability(value: float) -> str:
    """A p-value with two digits, or that it is small."""
    return "<.0001" if value < 1e-4 else f"{value:.4f}" if value < 0.01 else f"{value:.2f}"


def times(one: StrategyVerdict) -> str:
    """How many times fewer votes for random's final accuracy, with its interval."""
    if one.strategy == CONTROL:
        return "1"
    low = f"{one.ratio.low:.2f}" if one.ratio.low > 0 else "never"
    high = f"{one.ratio.high:.2f}" if one.ratio.high is not None else "never"
    value = "never" if one.ratio.value is None else f"{one.ratio.value:.2f}x"
    return f"{value} ({low} to {high})" if (low, high) != ("never", "never") else value


def render(
    about: Mapping[str, Any],
    found: Sequence[StrategyVerdict],
    rounds: Sequence[SimulatedRound],
    orders: Sequence[OrderVerdict] = (),
) -> str:
    """The report as one HTML document that needs nothing else."""
    best = max(found, key=lambda one: one.area)
    return page(
        "What choosing would have saved",
        [
            _curves(about, rounds),
            _table(found),
            *([_orders(about, orders)] if orders else []),
            _asked(about, found),
            _levels(found),
            _protocol(about),
        ],
        eyebrow="emolab simulate",
        subtitle=f"{many(about['seeds'], 'campaign')} per strategy on {about['n_pool']:,} samples of "
        f"{about['dataset']}, judged on {about['n_judge']:,} others.",
        tiles=_tiles(about, found, best),
        footer="Simulated on votes that were there. Seeds are paired: the same first samples and the same answers.",
    )


def _tiles(about: Mapping[str, Any], found: Sequence[StrategyVerdict], best: StrategyVerdict) -> list[Tile]:
    control = next(one for one in found if one.strategy == CONTROL)
    sure = best.p_holm < SURE and best.gain > 0
    tiles = [
        Tile(
            label="best mean accuracy",
            value=best.strategy,
            note="no strategy is above it"
            if best is control
            else f"{gained(best.gain, best.error)} points on random" + ("" if sure else ", which may be noise"),
        ),
        Tile(
            label="votes for random's final accuracy",
            value="1x" if best is control else times(best).split(" ")[0],
            note="never reached" if best.ratio.value is None else "times fewer than random",
        ),
        Tile(label="final accuracy", value=f"{best.final:.1%}", note=f"random {control.final:.1%}"),
    ]
    if about["everything"]:
        top = about["everything"]
        tiles.append(
            Tile(label="everything labelled", value=f"{top['accuracy']:.1%}", note=f"{top['votes']:,.0f} votes")
        )
    return tiles


def _curves(about: Mapping[str, Any], rounds: Sequence[SimulatedRound]) -> Section:
    return Section(
        title="What the votes bought",
        lead="Means over the seeds; the bands are 95 % intervals of the means. Votes on a logarithmic scale.",
        body=columns(
            paragraph("Accuracy") + chart(curves(rounds, about["budgets"], "accuracy"), "accuracy"),
            paragraph("Macro-F1, where every class counts the same")
            + chart(curves(rounds, about["budgets"], "macro_f1"), "macro-F1"),
        ),
    )


def chart(found: Mapping[str, Curves], name: str, *, control: str = CONTROL) -> str:
    """One line per strategy with its band, over the votes; the ``control`` is dashed and grey."""
    return line(drawn(found, control), x_label="votes", y_label=name, y_format=percent, log_x=True)


def picture(found: Mapping[str, Curves], name: str, *, control: str = CONTROL) -> str:
    """The same as an SVG file of its own."""
    return alone(drawn(found, control), chart(found, name, control=control), PALETTE + DRAWN)


def drawn(found: Mapping[str, Curves], control: str) -> list[Series]:
    """The means of the curves with the 95 % intervals of the means."""
    series: list[Series] = []
    others = [strategy for strategy in found if strategy != control]
    for strategy, one in found.items():
        number = -1 if strategy == control else others.index(strategy)
        wide = 1.96 * one.values.std(axis=0, ddof=1) / np.sqrt(len(one.seeds)) if len(one.seeds) > 1 else 0 * one.mean
        series.append(
            Series(
                name=strategy,
                x=one.costs.tolist(),
                y=one.mean.tolist(),
                low=(one.mean - wide).tolist(),
                high=(one.mean + wide).tolist(),
                color=GRAY if number < 0 else COLORS[number % len(COLORS)],
                dashed=number < 0 or number >= len(COLORS),
                dots=len(one.costs) < 3,
            )
        )
    return series


def _table(found: Sequence[StrategyVerdict]) -> Section:
    needed = seeds_to_tell(len(found) - 1)
    few = f" With fewer than {needed} seeds p cannot show any difference." if found[0].seeds < needed else ""
    return Section(
        title="Which one?",
        lead="Accuracy and macro-F1 are means over the logarithm of the votes, so that every doubling counts "
        "alike; gains are in points against random, pair by pair; p is Wilcoxon's, corrected for the number of "
        "strategies (Holm). Votes saved: how many times fewer than random for random's final accuracy, with a 95 % "
        f"interval.{few}",
        body=table(COLUMNS, [row(one) for one in found], numeric=range(1, len(COLUMNS))),
    )


def _orders(about: Mapping[str, Any], orders: Sequence[OrderVerdict]) -> Section:
    return Section(
        title="If the team leaves a round half-way",
        lead="Accuracy and macro-F1 by the votes up to then, with the order of the round; and the gain in points where "
        f"the queue is put in a new order after every {many(about['relearn'], 'vote')}. Means over the rounds, paired "
        "by seed. At the end of a round both orders have asked about the same samples.",
        body=table(ORDER_COLUMNS, [order_row(one) for one in orders], numeric=range(1, len(ORDER_COLUMNS))),
    )


def _asked(about: Mapping[str, Any], found: Sequence[StrategyVerdict]) -> Section:
    return Section(
        title="What was asked",
        lead="Percent of the classes, by the votes there are, among the samples chosen after the first ones; and how "
        "many percent of the people disagree with the leading opinion on them.",
        body=table(
            ["strategy", *about["classes"], "disagree"],
            [
                [one.strategy, *(f"{100 * share:.1f}" for share in one.composition), f"{100 * one.doubt:.1f}"]
                for one in found
                if any(one.composition)
            ],
            numeric=range(1, len(about["classes"]) + 2),
        ),
    )


def _levels(found: Sequence[StrategyVerdict]) -> Section:
    rows = [
        [
            one.strategy,
            *(f"{100 * part:.1f}" for part in one.thirds),
            f"{one.wins:.0%}",
            f"{one.effect:+.2f}",
            *(_votes(one.shares.get(share)) for share in ("0.90", "0.95")),
        ]
        for one in found
    ]
    return Section(
        title="Early, late, and how far to the top",
        lead="Mean accuracy of the low, middle and high third of the votes; how many rounds beat random's; the rank "
        "correlation of the pairs; votes until 90 and 95 % of the accuracy that labelling everything gives.",
        body=table(
            ["strategy", "low", "middle", "high", "wins", "effect", "votes to 90 %", "votes to 95 %"],
            rows,
            numeric=range(1, 8),
        ),
    )


def _votes(found: Reached | None) -> str:
    if found is None:
        return ""
    if found.votes is None:
        return "not reached"
    if found.low is None and found.high is None:
        return f"{found.votes:,.0f}"
    low = "?" if found.low is None else f"{found.low:,.0f}"
    high = "beyond" if found.high is None else f"{found.high:,.0f}"
    return f"{found.votes:,.0f} ({low} to {high})"


def _protocol(about: Mapping[str, Any]) -> Section:
    first, further = about["price"]
    learner = (
        f"linear head on {about['features']} principal components of {about['backbone']}; its penalty is chosen on the "
        "first samples alone"
        if about["mode"] == "frozen"
        else f"{about['backbone']} trained again in every round"
    )
    return Section(
        title="Protocol",
        body=facts(
            {
                "judge": about["judge"],
                "learner": learner,
                "weights": str(about["weights"]),
                "votes per sample": f"{about['votes']} ({about['oracle']}), labels by {about['labels']}",
                "price": f"{first:g} for the first vote on a sample, {further:g} for each further one",
                "rounds": ", ".join(f"{budget:,.0f}" for budget in about["budgets"]) + " votes",
                "left out": many(
                    about["near_copies_of_judged"], "near copy of a judged sample", "near copies of judged samples"
                ),
            }
        ),
    )
