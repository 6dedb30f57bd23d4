"""The demo's report: what the votes bought, who voted, what was asked, and where the model still errs."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np

from emolab.catalog import activity, samples, tallies, votes
from emolab.demonstration.campaign import CHOSEN, RANDOM, Arm, Campaign, Point
from emolab.labeling.labels.agreement import alpha, by_annotator
from emolab.pages.charts import Series, bars, heatmap, line, percent, reliability
from emolab.pages.html import Section, Thumbnail, Tile, code, columns, gallery, page, paragraph, table
from emolab.records import Sample, Vote, VoteTable
from emolab.stats.metrics import reliability as reliability_bins

#: How many faces a gallery shows.
SHOWN = 14


def render(campaign: Campaign) -> str:
    """The report of ``campaign`` as one HTML document that needs nothing else."""
    chosen, other = campaign.arms[CHOSEN], campaign.arms[RANDOM]
    with chosen.workspace.catalog() as catalog, catalog.connect() as conn:
        known = {sample.id: sample for sample in samples.iterate(conn)}
        cast = list(votes.iterate(conn))
        ledger = tallies.table(conn, campaign.data.classes)
        skips = {found.name: found.skips for found in activity.annotators(conn)}
    sections = [
        _curves(chosen, other),
        _asked(campaign, chosen, other),
        _picks(campaign, chosen, known),
        _team(campaign, ledger, cast, known, skips),
        _disputed(chosen, known, cast),
        _judged(campaign, chosen),
        _mistakes(campaign, chosen),
        _onward(chosen),
    ]
    return page(
        "Ten minutes with emolab",
        sections,
        eyebrow="emolab demo",
        subtitle=_subtitle(campaign),
        tiles=_tiles(campaign, chosen, other),
        footer="Made by emolab demo. One run with one seed: a picture of the loop, not a benchmark.",
    )


def _subtitle(campaign: Campaign) -> str:
    n = len(campaign.data.crowd)
    return (
        f"{n:,} {campaign.data.title} in the pool, {len(campaign.data.judge):,} others as judge. "
        f"{len(campaign.people)} simulated annotators answered through a real Label Studio: "
        f"{campaign.per_round} samples per round, {campaign.overlap} votes each, once as emolab suggests and once "
        f"at random."
    )


def _tiles(campaign: Campaign, chosen: Arm, other: Arm) -> list[Tile]:
    ours, theirs = chosen.curve[-1], other.curve[-1]
    saved = votes_to_reach(chosen, theirs.macro_f1)
    return [
        Tile(label="accuracy", value=f"{ours.accuracy:.1%}", note=f"random selection {theirs.accuracy:.1%}"),
        Tile(label="macro-F1", value=f"{ours.macro_f1:.3f}", note=f"random selection {theirs.macro_f1:.3f}"),
        Tile(
            label="random's final macro-F1 after",
            value="not reached" if saved is None else f"{saved:,.0f} votes",
            note=f"random needed {theirs.votes:,}",
        ),
        Tile(label="calibration error", value=f"{ours.ece:.3f}", note="0 means 70 % sure is right in 70 %"),
        Tile(label="everything took", value=f"{campaign.seconds / 60:.1f} min", note="both arms, on this machine"),
    ]


def votes_to_reach(arm: Arm, macro_f1: float) -> float | None:
    """Votes at which ``arm`` first has this macro-F1, on straight lines between its rounds; ``None``: never."""
    points = arm.curve
    if points[0].macro_f1 >= macro_f1:
        return float(points[0].votes)
    for before, after in pairwise(points):
        if after.macro_f1 >= macro_f1:
            share = (macro_f1 - before.macro_f1) / (after.macro_f1 - before.macro_f1)
            return before.votes + share * (after.votes - before.votes)
    return None


def _curves(chosen: Arm, other: Arm) -> Section:
    def curve(key: Callable[[Point], float], name: str) -> str:
        series = [
            Series(
                name=f"emolab suggest ({arm.strategy})" if arm.name == CHOSEN else "random",
                x=[point.votes for point in arm.curve],
                y=[key(point) for point in arm.curve],
                color=1 if arm.name == CHOSEN else 2,
                dashed=arm.name == RANDOM,
                dots=True,
            )
            for arm in (chosen, other)
        ]
        chart = line(series, x_label="votes given by the team", y_label=name, y_format=percent)
        return paragraph(name) + chart

    return Section(
        title="What the votes bought",
        lead="Both start with the same kind of random round; from then on only the choice of samples differs.",
        body=columns(
            curve(lambda point: point.accuracy, "Accuracy"),
            curve(lambda point: point.macro_f1, "Macro-F1, where every expression counts the same"),
        ),
    )


def _asked(campaign: Campaign, chosen: Arm, other: Arm) -> Section:
    def composition(arm: Arm) -> dict[str, float]:
        with arm.workspace.catalog() as catalog, catalog.connect() as conn:
            later = [s.sample_id for proposal in arm.rounds[1:] for s in proposal.suggestions]
            asked = samples.by_ids(conn, later)
        counts: Counter[str] = Counter()
        for sample in asked:
            counts.update(crowd_of(campaign, sample))
        return {name: counts[name] for name in campaign.data.classes}

    def doubt(arm: Arm) -> float:
        with arm.workspace.catalog() as catalog, catalog.connect() as conn:
            later = [s.sample_id for proposal in arm.rounds[1:] for s in proposal.suggestions]
            shares = [max(crowd_of(campaign, sample).values()) for sample in samples.by_ids(conn, later)]
        return float(np.mean(shares)) if shares else float("nan")

    if len(chosen.rounds) < 2:
        return Section(title="What was asked", body=paragraph("Only the random round was run."))
    return Section(
        title="What was asked",
        lead="Faces per expression in the rounds after the first: emolab suggest above, random below.",
        body=columns(
            bars(composition(chosen), second=composition(other), form=lambda n: f"{n:.0f}"),
            paragraph(
                f"People would agree on the leading answer with {doubt(chosen):.0%} of their votes for the faces that "
                f"emolab suggested, and {doubt(other):.0%} for random ones. Near copies, and faces "
                f"that somebody is being asked about already, are never suggested."
            ),
        ),
    )


def crowd_of(campaign: Campaign, sample: Sample) -> Mapping[str, float]:
    """How people answer for ``sample``."""
    return campaign.data.crowd[Path(sample.name or "").name]


def _picks(campaign: Campaign, arm: Arm, known: Mapping[str, Sample]) -> Section:
    proposal = arm.rounds[-1]
    pictures = []
    for suggestion in proposal.suggestions[:SHOWN]:
        sample = known[suggestion.sample_id]
        crowd = crowd_of(campaign, sample)
        leading = max(crowd, key=lambda name: crowd[name])
        pictures.append(
            Thumbnail(image=media(arm, sample), title=f"{leading} {crowd[leading]:.0%}", note=suggestion.reason)
        )
    return Section(
        title=f"Round {proposal.round}: what emolab asked the team about",
        lead="The first picks, what most people would answer, and the reason emolab gives for asking.",
        body=gallery(pictures),
    )


def media(arm: Arm, sample: Sample) -> bytes:
    """The stored picture of ``sample``."""
    return (arm.workspace.root / sample.media).read_bytes()


def _team(
    campaign: Campaign,
    ledger: VoteTable,
    cast: list[Vote],
    known: Mapping[str, Sample],
    skips: Mapping[str, int],
) -> Section:
    agreement = alpha(ledger, np.random.default_rng(0))
    rows = []
    for found in by_annotator(ledger):
        person = campaign.people.get(found.name)
        own = [vote for vote in cast if vote.annotator == found.name and vote.label is not None]
        right = [vote.label == _leading(campaign, known[vote.sample_id]) for vote in own]
        times = [vote.lead_time for vote in own if vote.lead_time is not None]
        habit = "" if found.habit is None else f"{found.habit[1]} for {found.habit[0]}"
        rows.append(
            [
                person.name if person else found.name,
                person.character if person else "",
                f"{len(own):,}",
                f"{found.agreement:.3f}",
                f"{np.mean(right):.3f}" if right else "",
                f"{np.median(times):.1f} s" if times else "",
                str(skips.get(found.name, 0)),
                habit,
            ]
        )
    return Section(
        title="The team",
        lead=(
            f"Krippendorff's alpha {agreement.value:.2f} ({agreement.low:.2f} to {agreement.high:.2f}). emolab knows "
            f"people by pseudonyms and votes alone; who is unreliable shows in how far they agree with the others."
        ),
        body=table(
            ["annotator", "character", "votes", "agrees with the others", "right", "median time", "skips", "habit"],
            rows,
            numeric=(2, 5, 6),
            bars=(3, 4),
        ),
    )


def _leading(campaign: Campaign, sample: Sample) -> str:
    crowd = crowd_of(campaign, sample)
    return max(crowd, key=lambda name: crowd[name])


def _disputed(arm: Arm, known: Mapping[str, Sample], cast: list[Vote]) -> Section:
    said: dict[str, Counter[str]] = {}
    for vote in cast:
        if vote.label is not None:
            said.setdefault(vote.sample_id, Counter())[vote.label] += vote.count
    ranked = sorted(said, key=lambda sample: (max(said[sample].values()) / said[sample].total(), sample))
    pictures = [
        Thumbnail(
            image=media(arm, known[sample]),
            title=" / ".join(name for name, _ in said[sample].most_common(2)),
            note=", ".join(f"{name} {n}" for name, n in said[sample].most_common()),
        )
        for sample in ranked[:SHOWN]
    ]
    return Section(
        title="Where the team disagrees",
        lead="Disagreement is kept: these faces train the model with a distribution, not with a winner.",
        body=gallery(pictures),
    )


def _judged(campaign: Campaign, arm: Arm) -> Section:
    if arm.judged is None:
        raise LookupError("the arm was never judged")
    classes = campaign.data.classes
    matrix = arm.report["confusion"]
    bins = reliability_bins(arm.judged, campaign.data.truth)
    return Section(
        title="The last model, judged",
        lead=f"{len(campaign.data.truth):,} faces nobody trained on, each with a clear majority.",
        body=columns(
            heatmap(matrix, list(classes), list(classes)),
            reliability(bins, title="Can its confidence be believed?", note=f"ECE {arm.report['ece']:.3f}"),
        ),
    )


def _mistakes(campaign: Campaign, arm: Arm) -> Section:
    if arm.judged is None:
        raise LookupError("the arm was never judged")
    guess, truth, classes = arm.judged.argmax(axis=1), campaign.data.truth, campaign.data.classes
    wrong = np.flatnonzero(guess != truth)
    worst = wrong[np.argsort(-arm.judged[wrong].max(axis=1), kind="stable")][:SHOWN]
    pictures = [
        Thumbnail(
            image=campaign.data.judge[row][1],
            title=f"{classes[guess[row]]} {arm.judged[row].max():.0%}",
            note=f"people say {classes[truth[row]]}",
            tone="bad",
        )
        for row in worst
    ]
    return Section(
        title="Most confident mistakes",
        body=gallery(pictures) if pictures else paragraph("None: every face of the judge was named as people do."),
    )


def _onward(arm: Arm) -> Section:
    root = arm.workspace.root
    return Section(
        title="Look further",
        body=code(
            f"cd {shlex.quote(str(root))}\n"
            "emolab status            # where the loop stands\n"
            "emolab inspect           # the faces, votes and predictions in FiftyOne\n"
            "emolab label status      # the team in numbers\n"
            "emolab studio up         # the same Label Studio again\n"
        ),
    )
