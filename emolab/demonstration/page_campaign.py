"""The part of the demo's report that shows emolab's campaign: who was asked what, who voted, where the model errs."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping

import numpy as np

from emolab.catalog import activity, samples, tallies, votes
from emolab.demonstration.arm import Arm
from emolab.demonstration.campaign import Campaigns
from emolab.demonstration.kinds.demo_kind import file_of
from emolab.demonstration.policies import EMOLAB, USUAL
from emolab.labeling.labels.agreement import alpha, by_annotator
from emolab.pages.charts import bars, heatmap, reliability
from emolab.pages.html import Section, Thumbnail, code, columns, gallery, paragraph, table
from emolab.records import Sample, Vote, VoteTable
from emolab.stats.metrics import reliability as reliability_bins

#: How many samples a gallery shows.
SHOWN = 14


def sections(campaign: Campaigns) -> list[Section]:
    """What was asked, the team, and the last model."""
    chosen, other = campaign.arms[EMOLAB], campaign.arms[USUAL]
    with chosen.workspace.catalog() as catalog, catalog.connect() as conn:
        known = {sample.id: sample for sample in samples.iterate(conn)}
        cast = list(votes.iterate(conn))
        ledger = tallies.table(conn, campaign.data.classes)
        skips = {found.name: found.skips for found in activity.annotators(conn)}
    return [
        _asked(campaign, chosen, other),
        _picks(campaign, chosen, known),
        _team(campaign, ledger, cast, known, skips),
        _disputed(campaign, chosen, known, cast),
        _judged(campaign, chosen),
        _mistakes(campaign, chosen),
        _onward(campaign, chosen),
    ]


def _asked(campaign: Campaigns, chosen: Arm, other: Arm) -> Section:
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

    nouns = campaign.data.kind.nouns
    if len(chosen.rounds) < 2:
        return Section(title="What was asked", body=paragraph("Only the random round was run."))
    return Section(
        title="What was asked",
        lead=f"{nouns.capitalize()} per expression in the rounds after the first: emolab above, the usual way below.",
        body=columns(
            bars(composition(chosen), second=composition(other), form=lambda n: f"{n:.0f}"),
            paragraph(
                f"People would agree on the leading answer with {doubt(chosen):.0%} of their votes for the {nouns} "
                f"that emolab suggested, and {doubt(other):.0%} for random ones. Near copies, and {nouns} "
                f"that somebody is being asked about already, are never suggested."
            ),
        ),
    )


def crowd_of(campaign: Campaigns, sample: Sample) -> Mapping[str, float]:
    """How people answer for ``sample``."""
    return campaign.data.crowd[file_of(sample.name or "")]


def _picks(campaign: Campaigns, arm: Arm, known: Mapping[str, Sample]) -> Section:
    proposal = arm.rounds[-1]
    pictures = []
    for suggestion in proposal.suggestions[:SHOWN]:
        sample = known[suggestion.sample_id]
        crowd = crowd_of(campaign, sample)
        leading = max(crowd, key=lambda name: crowd[name])
        pictures.append(
            _shown(campaign, media(arm, sample), title=f"{leading} {crowd[leading]:.0%}", note=suggestion.reason)
        )
    return Section(
        title="What emolab asked about in the last round",
        lead="The first picks, what most people would answer, and the reason emolab gives for asking.",
        body=gallery(pictures),
    )


def media(arm: Arm, sample: Sample) -> bytes:
    """The stored file of ``sample``."""
    return (arm.workspace.root / sample.media).read_bytes()


def _shown(campaign: Campaigns, data: bytes, *, title: str, note: str = "", tone: str = "") -> Thumbnail:
    """What the page shows of ``data``: a picture, and a player where it is a sound."""
    kind = campaign.data.kind
    return Thumbnail(image=kind.picture(data), title=title, note=note, tone=tone, sound=data if kind.plays else b"")


def _team(
    campaign: Campaigns,
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


def _leading(campaign: Campaigns, sample: Sample) -> str:
    crowd = crowd_of(campaign, sample)
    return max(crowd, key=lambda name: crowd[name])


def _disputed(campaign: Campaigns, arm: Arm, known: Mapping[str, Sample], cast: list[Vote]) -> Section:
    said: dict[str, Counter[str]] = {}
    for vote in cast:
        if vote.label is not None:
            said.setdefault(vote.sample_id, Counter())[vote.label] += vote.count
    ranked = sorted(said, key=lambda sample: (max(said[sample].values()) / said[sample].total(), sample))
    pictures = [
        _shown(
            campaign,
            media(arm, known[sample]),
            title=" / ".join(name for name, _ in said[sample].most_common(2)),
            note=", ".join(f"{name} {n}" for name, n in said[sample].most_common()),
        )
        for sample in ranked[:SHOWN]
    ]
    return Section(
        title="Where the team disagrees",
        lead=f"Disagreement is kept: these {campaign.data.kind.nouns} train the model with a distribution, not with a "
        "winner.",
        body=gallery(pictures),
    )


def _judged(campaign: Campaigns, arm: Arm) -> Section:
    if arm.judged is None:
        raise LookupError("the arm was never judged")
    classes = campaign.data.classes
    matrix = arm.report["confusion"]
    bins = reliability_bins(arm.judged, campaign.data.truth)
    return Section(
        title="The last model, judged",
        lead=f"{len(campaign.data.truth):,} {campaign.data.kind.nouns} nobody trained on, each with a clear majority.",
        body=columns(
            heatmap(matrix, list(classes), list(classes)),
            reliability(bins, title="Can its confidence be believed?", note=f"ECE {arm.report['ece']:.3f}"),
        ),
    )


def _mistakes(campaign: Campaigns, arm: Arm) -> Section:
    if arm.judged is None:
        raise LookupError("the arm was never judged")
    noun = campaign.data.kind.noun
    guess, truth, classes = arm.judged.argmax(axis=1), campaign.data.truth, campaign.data.classes
    wrong = np.flatnonzero(guess != truth)
    worst = wrong[np.argsort(-arm.judged[wrong].max(axis=1), kind="stable")][:SHOWN]
    pictures = [
        _shown(
            campaign,
            campaign.data.judge[row][1],
            title=f"{classes[guess[row]]} {arm.judged[row].max():.0%}",
            note=f"people say {classes[truth[row]]}",
            tone="bad",
        )
        for row in worst
    ]
    return Section(
        title="Most confident mistakes",
        body=gallery(pictures) if pictures else paragraph(f"None: every {noun} of the judge was named as people do."),
    )


def _onward(campaign: Campaigns, arm: Arm) -> Section:
    root, kind = arm.workspace.root, campaign.data.kind
    inspect = f"emolab inspect           # the {kind.nouns}, votes and predictions in FiftyOne\n"
    return Section(
        title="Look further",
        body=code(
            f"cd {shlex.quote(str(root))}\n"
            "emolab status            # where the loop stands\n"
            f"{inspect if kind.in_fiftyone else ''}"
            "emolab label status      # the team in numbers\n"
            "emolab studio up         # the same Label Studio again\n"
        ),
    )
