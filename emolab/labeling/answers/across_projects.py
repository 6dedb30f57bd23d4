"""Each person once per sample, also when their answers lie in several projects of one server, or came from the app."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from emolab.catalog import votes
from emolab.catalog.campaign import remotes
from emolab.catalog.storage.chunks import chunks
from emolab.labeling.answers import timestamps
from emolab.labeling.answers.votes_from_answers import SUPERSEDED

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from emolab.catalog.campaign.remotes import Project
    from emolab.records import Vote


def once(
    tx: Connection,
    project: Project,
    made: Sequence[Vote],
    *,
    samples: Iterable[str],
    leaving: set[str],
    held: bool = False,
) -> list[Vote]:
    """``made`` (this project's votes, as read) in the light of what the ledger holds about these samples already.

    Of several answers of a person the latest counts; the others are kept as superseded, and one that was comes back
    when the later one goes. The result holds ``made`` and those votes of the ledger that change. Votes whose origins
    are ``leaving`` are about to be withdrawn; with ``held`` some votes of this project stay though the server
    does not show them any more.
    """
    wanted = sorted(set(samples))
    if not wanted or not (
        leaving
        or held
        or len(remotes.projects(tx, server=project.server)) > 1
        or votes.any_about(tx, wanted, votes.APP)
    ):
        return list(made)
    fresh = {vote.origin for vote in made}
    stored: list[Vote] = []
    for part in chunks(wanted, 500):
        stored += votes.iterate(tx, include_rejected=True, sample_ids=part)
    theirs = (f"studio:{project.server}:", votes.APP)
    kept = [v for v in stored if v.origin.startswith(theirs) and v.origin not in fresh and v.origin not in leaving]
    changed = latest_counts([*made, *kept])
    return [changed.get(v.origin, v) for v in made] + [changed[v.origin] for v in kept if v.origin in changed]


def latest_counts(votes: Iterable[Vote]) -> dict[str, Vote]:
    """Those of ``votes`` that change, by origin: of each person's answers about a sample only the latest counts."""
    groups: dict[tuple[str, str], list[Vote]] = defaultdict(list)
    for vote in votes:
        if vote.rejected in {None, SUPERSEDED}:
            groups[vote.sample_id, vote.annotator].append(vote)
    changed: dict[str, Vote] = {}
    for group in groups.values():
        latest = max(group, key=_when)
        for vote in group:
            reason = None if vote is latest else SUPERSEDED
            if vote.rejected != reason:
                changed[vote.origin] = replace(vote, rejected=reason)
    return changed


def _when(vote: Vote) -> tuple[datetime, list[int]]:
    """When an answer was given; of two at one moment the one with the higher number is the later."""
    numbers = [int(part) for part in vote.origin.split(":")[2:] if part.isdigit()]
    return timestamps.moment(vote.cast_at) or timestamps.LONG_AGO, numbers
