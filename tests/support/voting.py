"""Votes put straight into the ledger, from a small table."""

from __future__ import annotations

from collections.abc import Mapping

from emolab.catalog import samples, votes
from emolab.records import Sample, Vote
from emolab.workspace import Workspace


def vote(workspace: Workspace, answers: Mapping[str, Mapping[str, str | None]]) -> None:
    """Store ``answers``: by sample id, what each annotator said (``None``: a skip). The samples are added."""
    with workspace.catalog() as catalog, catalog.begin() as tx:
        samples.add(tx, [Sample(id=sample, media=f"media/{sample}.png") for sample in answers])
        votes.append(
            tx,
            [
                Vote(sample_id=sample, annotator=who, label=said, origin=f"test:{sample[:4]}:{who}")
                for sample, given in answers.items()
                for who, said in given.items()
            ],
        )
