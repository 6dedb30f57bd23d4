"""What people did in a stretch of time, by the moment that each vote was cast at."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from emolab.catalog import Catalog, activity, samples, votes
from emolab.records import Sample, Vote

MONDAY, NEXT = "2026-03-09T00:00:00+00:00", "2026-03-16T00:00:00+00:00"


@pytest.mark.parametrize(
    ("cast", "counts"),
    [
        ("2026-03-09T00:00:00.000Z", True),
        ("2026-03-08T23:59:59.999Z", False),
        ("2026-03-15T23:59:59.999999Z", True),
        ("2026-03-16T00:00:00.000Z", False),
        ("2026-03-09T01:00:00+02:00", False),  # Sunday evening in UTC
        ("2026-03-16T01:00:00+02:00", True),
        ("2026-03-08T20:00:00-05:00", True),
        ("2026-03-15T20:00:00-05:00", False),
        ("2026-03-10T10:00:00", True),
        ("2026-03-29T02:30:00+01:00", False),
        ("20260310T100000Z", True),
        ("20260308T100000Z", False),
    ],
)
def test_a_vote_belongs_to_the_week_of_its_moment_in_whatever_zone(cast: str, counts: bool, tmp_path: Path) -> None:
    with Catalog(f"sqlite:///{tmp_path / 'c.db'}") as catalog:
        with catalog.begin() as tx:
            samples.add(tx, [Sample(id="a" * 64, media="a.png")])
            votes.append(
                tx,
                [
                    Vote(sample_id="a" * 64, annotator=who, label=label, origin=who, lead_time=seconds, cast_at=cast)
                    for who, label, seconds in (("ann", "happy", 3.0), ("bob", "sad", 5.0))
                ],
            )
        with catalog.connect() as conn:
            shares, seconds = activity.agreement_and_speed(conn, MONDAY, NEXT)
            before = activity.agreement_and_speed(conn, "", NEXT)
    assert (shares, sorted(seconds)) == (([0.5], [3.0, 5.0]) if counts else ([], []))
    assert bool(before[0]) == (counts or "-08T23" in cast or cast.startswith(("2026-03-09T01", "20260308")))


@pytest.mark.parametrize("cast", ["yesterday", "", None, "2026-13-45"])
def test_a_vote_whose_time_cannot_be_read_counts_from_when_it_came_in(cast: str | None, tmp_path: Path) -> None:
    with Catalog(f"sqlite:///{tmp_path / 'c.db'}") as catalog:
        with catalog.begin() as tx:
            samples.add(tx, [Sample(id="a" * 64, media="a.png")])
            said = [Vote(sample_id="a" * 64, annotator=who, label="happy", origin=who, lead_time=2.0, cast_at=cast)
                    for who in ("ann", "bob")]  # fmt: skip
            votes.append(tx, said)
        now = datetime.now(UTC)
        around = [(now + timedelta(days=days)).isoformat() for days in (-1, 1, 8)]
        with catalog.connect() as conn:
            assert activity.agreement_and_speed(conn, around[0], around[1]) == ([1.0], [2.0, 2.0])
            assert activity.agreement_and_speed(conn, around[1], around[2]) == ([], [])
