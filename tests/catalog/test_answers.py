"""Answers on a labelling server: counted per sample, also without the skipped ones, on SQLite and PostgreSQL."""

from __future__ import annotations

import pytest

from emolab.catalog import Catalog, samples, votes
from emolab.catalog.campaign import answers, remotes
from emolab.catalog.campaign.answers import RecordedAnswer
from emolab.records import Sample, Vote


@pytest.mark.slow
def test_answers_are_counted_with_and_without_the_skipped_ones(catalog: Catalog) -> None:
    one, two, three = ("a" * 64, "b" * 64, "c" * 64)
    with catalog.begin() as tx:
        samples.add(tx, [Sample(id=s, media=f"media/{s}.png", width=1, height=1) for s in (one, two, three)])
        mine, other = (remotes.add_project(tx, server="s", project=n, title=f"t{n}") for n in (1, 11))
        given = [(mine, 7, one, None), (mine, 70, one, "skipped"), (mine, 8, two, "skipped"), (other, 7, two, None)]
        for project, number, sample, rejected in given:
            label = None if rejected else "sadness"
            vote = Vote(
                sample_id=sample, annotator="ann", label=label, origin=project.origin(number), rejected=rejected
            )
            votes.append(tx, [vote])
            answers.add(tx, project, [RecordedAnswer(number, 1, sample, "ann")], votes.annotator_keys(tx, {"ann"}))
        assert answers.counts(tx, mine) == {one: 2, two: 1}
        assert answers.counts(tx, mine, besides="skipped") == {one: 1}
        votes.withdraw(tx, [mine.origin(70)], "edited")
        assert answers.counts(tx, mine, besides="skipped") == {one: 2}, "what was withdrawn says nothing any more"
