"""The demo's report: what emolab saves, by the replay; then the two campaigns that were really played."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from emolab.active_learning.simulation.curves import Curves
from emolab.demonstration import page_campaign
from emolab.demonstration.arm import Arm, Point
from emolab.demonstration.campaign import Campaigns
from emolab.demonstration.headline import headline, interval, minutes, sentence
from emolab.demonstration.policies import EMOLAB, USUAL
from emolab.demonstration.replay import ASKING, Replay
from emolab.pages.charts import line
from emolab.pages.html import Section, Tile, columns, facts, page, paragraph, table
from emolab.pages.svg_elements import Series, percent
from emolab.words import many

#: What the curves are called, in the order of the legend, and the numbers of their colours.
NAMES = {EMOLAB: "emolab", ASKING: "a random choice, asked as emolab asks", USUAL: "the usual way"}
COLORS = {EMOLAB: 1, ASKING: 3, USUAL: 2}


def render(campaigns: Campaigns, replay: Replay, *, seconds: float) -> str:
    """The report as one HTML document that needs nothing else; everything took ``seconds``."""
    saving = replay.savings[EMOLAB]
    return page(
        headline(saving),
        [
            _curves(replay),
            _saved(replay),
            _campaigns(campaigns),
            *page_campaign.sections(campaigns),
            _protocol(campaigns, replay),
        ],
        eyebrow="emolab demo",
        subtitle=sentence(replay, saving),
        tiles=_tiles(campaigns, replay, seconds),
        footer="Made by emolab demo. The headline is of the replay; a single campaign is a picture of the loop.",
    )


def _tiles(campaigns: Campaigns, replay: Replay, seconds: float) -> list[Tile]:
    saving, (ours, theirs) = replay.savings[EMOLAB], (campaigns.arms[name].curve[-1] for name in (EMOLAB, USUAL))
    value = saving.ratio.value
    return [
        Tile(
            label="times fewer votes",
            value="–" if value is None else f"{value:.2f}",
            note=interval(saving.ratio),
        ),
        Tile(
            label=f"votes to {saving.level:.1%} accuracy",
            value="–" if saving.votes is None else f"{saving.votes:,.0f}",
            note=("not reached; " if saving.votes is None else "") + f"the usual way {saving.usual_votes:,.0f}",
        ),
        Tile(
            label=f"accuracy after {replay.budgets[-1]:,.0f} votes",
            value=f"{replay.curves[EMOLAB].mean[-1]:.1%}",
            note=f"the usual way {saving.level:.1%}",
        ),
        Tile(
            label="the campaign in Label Studio",
            value=f"{ours.accuracy:.1%}",
            note=f"the usual way {theirs.accuracy:.1%}, {theirs.votes:,} votes",
        ),
        Tile(label="everything took", value=minutes(seconds), note="on this machine"),
    ]


def _curves(replay: Replay) -> Section:
    def chart(found: Mapping[str, Curves], name: str) -> str:
        series = [_series(NAMES[way], found[way], COLORS[way], dashed=way != EMOLAB) for way in NAMES]
        return paragraph(name) + line(series, x_label="votes given by the team", y_label=name, y_format=percent)

    return Section(
        title="What the votes buy",
        lead=f"Means of {replay.seeds} campaigns of each way; the bands are 95 % intervals of the means. Judged on "
        f"{replay.judge:,} {replay.nouns} of other people, about which nobody is asked.",
        body=columns(
            chart(replay.curves, "Accuracy"),
            chart(replay.macro_f1, "Macro-F1, where every expression counts the same"),
        ),
    )


def _series(name: str, found: Curves, color: int, *, dashed: bool) -> Series:
    wide = 1.96 * _error(found)
    return Series(
        name=name,
        x=found.costs.tolist(),
        y=found.mean.tolist(),
        low=(found.mean - wide).tolist(),
        high=(found.mean + wide).tolist(),
        color=color,
        dashed=dashed,
        dots=True,
    )


def _error(found: Curves) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Standard errors of the means, 0 for a single campaign."""
    n = len(found.seeds)
    return np.asarray(found.values.std(axis=0, ddof=1) / np.sqrt(n)) if n > 1 else 0 * found.mean


def _saved(replay: Replay) -> Section:
    rows = []
    for name in (USUAL, ASKING, EMOLAB):
        curve, asked = replay.curves[name], replay.samples[name]
        saving = replay.savings.get(name)
        reached = replay.savings[EMOLAB].usual_votes if saving is None else saving.votes
        times = "1" if saving is None else "" if saving.ratio.value is None else f"{saving.ratio.value:.2f}"
        rows.append(
            [
                NAMES[name],
                f"{asked:,.0f}",
                f"{replay.budgets[-1] / asked:.2f}",
                f"{curve.mean[-1]:.1%} ± {1.96 * _error(curve)[-1]:.1%}",
                "not reached" if reached is None else f"{reached:,.0f}",
                times,
                "" if saving is None else interval(saving.ratio).removeprefix("95 % interval").lstrip(": "),
            ]
        )
    return Section(
        title="What was saved",
        lead=f"After {replay.budgets[-1]:,.0f} votes each, and what each way needs for the accuracy that the usual way "
        f"has then. The second row asks as emolab asks, about random {replay.nouns}: its saving does not come from "
        "choosing.",
        body=table(
            [
                "way",
                replay.nouns,
                f"votes per {replay.nouns[:-1]}",
                "accuracy",
                "votes needed",
                "times fewer",
                "95 % interval",
            ],
            rows,
            numeric=(1, 2, 3, 4, 5),
        ),
    )


def _campaigns(campaigns: Campaigns) -> Section:
    def curve(key: Callable[[Point], float], name: str) -> str:
        series = [_played(campaigns.arms[way], key) for way in (EMOLAB, USUAL)]
        return paragraph(name) + line(series, x_label="votes given by the team", y_label=name, y_format=percent)

    rows = [
        [
            NAMES[way],
            f"{point.round}",
            f"{point.votes:,}",
            f"{point.labelled:,}",
            f"{point.accuracy:.1%}",
            f"{point.macro_f1:.3f}",
            f"{point.ece:.3f}",
        ]
        for way in (EMOLAB, USUAL)
        for point in campaigns.arms[way].curve
    ]
    return Section(
        title="One campaign of each, through a real Label Studio",
        lead=f"The same team, {many(campaigns.budget, 'vote')} a round. One campaign has luck in it; the curves above "
        "have less.",
        body=columns(
            curve(lambda point: point.accuracy, "Accuracy"),
            curve(lambda point: point.macro_f1, "Macro-F1, where every expression counts the same"),
        )
        + table(
            ["way", "round", "votes", campaigns.data.kind.nouns, "accuracy", "macro-F1", "ECE"],
            rows,
            numeric=range(1, 7),
        ),
    )


def _played(arm: Arm, key: Callable[[Point], float]) -> Series:
    return Series(
        name=NAMES[arm.policy.name],
        x=[point.votes for point in arm.curve],
        y=[key(point) for point in arm.curve],
        color=COLORS[arm.policy.name],
        dashed=arm.policy.name == USUAL,
        dots=True,
    )


def _protocol(campaigns: Campaigns, replay: Replay) -> Section:
    ours, theirs = (campaigns.arms[name].policy for name in (EMOLAB, USUAL))
    nouns = replay.nouns
    return Section(
        title="How it was measured",
        body=facts(
            {
                "the usual way": f"{theirs.strategy} {nouns}, {theirs.votes} votes on each, {theirs.aggregator} labels",
                "emolab": f"{nouns} by {ours.strategy}, {ours.votes} votes on each, {ours.aggregator} labels; every "
                "other setting as it comes",
                nouns: f"{replay.pool:,} {campaigns.data.title} to choose from; {replay.judge:,} others judge, with "
                "other people on them",
                "team": f"{len(campaigns.people)} simulated annotators; in the replay they answer as in Label Studio",
                "rounds": ", ".join(f"{votes:,.0f}" for votes in replay.budgets) + " votes in the replay",
                "learner": "a linear head on features that do not change; its penalty is chosen on the first answers",
                "times fewer votes": "votes that the usual way needs for its final accuracy, by those that emolab "
                "needs for the same, both read off the mean curves; the interval is of 1,000 draws of the campaigns",
            }
        ),
    )
