"""What a format can hold comes back from it as it was: over made-up votes, and from one workspace into another."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emolab.catalog import samples, votes
from emolab.labeling.exchange.vote_columns import file_vote, row_of
from emolab.labeling.exchange.vote_formats import SUFFIXES, read_rows
from emolab.loop.label.exchange.export_votes import export_votes, write_whole
from emolab.loop.label.exchange.import_votes import import_votes
from emolab.records import SKIPPED, Sample, Vote
from emolab.workspace import Workspace

CLASSES = ("happiness", "sadness", "neutral")
IDS = tuple(letter * 64 for letter in "abcd")
FACES = {i: Sample(id=i, media=f"media/{i[:2]}/{i}.png", width=48, height=32) for i in IDS}
VOTES = [name for name in SUFFIXES if name != "folder"]
Row = dict[str, Any]

text = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=1, max_size=20)
number = st.floats(0, 1e6, allow_nan=False)


@st.composite
def made_votes(draw: st.DrawFn) -> list[tuple[Vote, str]]:
    """Votes with every column drawn, each with the kind of its annotator; each origin once."""
    found = []
    for place in range(draw(st.integers(0, 6))):
        rejected = draw(st.none() | st.just(SKIPPED) | text.filter(lambda word: word != SKIPPED))
        label = None if rejected == SKIPPED else draw(st.sampled_from((*CLASSES, "no_face", "unknown")))
        vote = Vote(
            sample_id=draw(st.sampled_from(IDS)),
            annotator=draw(text),
            label=label,
            origin=f"{place}:{draw(text)}",
            count=draw(st.integers(1, 2**31 - 1)),
            lead_time=draw(st.none() | number),
            round=draw(st.none() | st.integers(0, 9)),
            perspective=draw(st.sampled_from(("perceived", "intended", "self"))),
            confidence=draw(st.none() | st.floats(0, 1)),
            second=draw(st.none() | st.sampled_from(CLASSES)),
            cast_at=draw(st.none() | st.text("0123456789-T:Z", min_size=1, max_size=30)),
            rejected=rejected,
            also=() if label not in CLASSES else tuple(draw(st.lists(st.sampled_from(CLASSES), max_size=2))),
            shown=draw(st.none() | st.sampled_from(("", "?", *CLASSES))),
            extra=draw(st.dictionaries(text, text | st.integers() | st.lists(text), max_size=3)),
        )
        found.append((vote, draw(st.sampled_from(("person", "dataset", "inspector")))))
    return found


def through_file(name: str, rows: list[Row], folder: Path) -> Iterable[tuple[str, Row]]:
    """The rows, after they were in a file as export writes and import reads it."""
    file = folder / f"votes{SUFFIXES[name]}"
    written = write_whole(name, file, rows, lambda: FACES, CLASSES)
    assert written == sum(name != "coco" or row["label"] is not None for row in rows)
    found, came = read_rows(file, name if rows else None, person=lambda address: address, annotator=None)
    assert found == name or not rows, "an empty list is one of any kind"
    return came


@pytest.mark.parametrize("name", VOTES)
def test_every_vote_comes_back_as_it_was(name: str, tmp_path: Path) -> None:
    if name == "parquet":
        pytest.importorskip("pyarrow")

    @settings(max_examples=60, deadline=None)
    @given(made_votes())
    def back(found: list[tuple[Vote, str]]) -> None:
        kept = [pair for pair in found if name != "coco" or pair[0].label is not None]
        rows = [row_of(vote, kind, vote.annotator) for vote, kind in found]
        came = [file_vote(row, place) for place, row in through_file(name, rows, tmp_path)]
        order = {vote.origin: n for n, (vote, _) in enumerate(kept)}
        assert {one.vote.origin for one in came} == set(order)
        came.sort(key=lambda one: order[one.vote.origin])
        assert [(one.vote, one.kind) for one in came] == kept

    back()


def team(workspace: Workspace) -> Workspace:
    """Four faces with votes of two people and a dataset; one skip, one refused vote, one withdrawn."""
    put(workspace)
    with workspace.catalog() as catalog, catalog.begin() as tx:
        votes.append(tx, [
            Vote(sample_id=IDS[0], annotator="ann", label="happiness", origin="studio:s:1", shown="", lead_time=2.5),
            Vote(sample_id=IDS[0], annotator="bob", label="sadness", origin="studio:s:2", shown="happiness", round=1),
            Vote(sample_id=IDS[1], annotator="ann", label=None, origin="studio:s:3", rejected=SKIPPED),
            Vote(sample_id=IDS[1], annotator="bob", label="grin", origin="studio:s:4", rejected='"grin" is no class'),
            Vote(sample_id=IDS[2], annotator="bob", label="no_face", origin="studio:s:5", extra={"why": 'a, "b"\r\nc'}),
            Vote(sample_id=IDS[3], annotator="ann", label="neutral", origin="studio:s:6"),
        ])  # fmt: skip
        crowd = Vote(sample_id=IDS[3], annotator="ferplus", label="neutral", origin="reader:ferplus:1", count=7)
        votes.append(tx, [crowd], kind="dataset")
        votes.withdraw(tx, ["studio:s:6"], "gone")
    return workspace


def put(workspace: Workspace) -> None:
    """The four faces with their files."""
    with workspace.catalog() as catalog, catalog.begin() as tx:
        samples.add(tx, FACES.values())
    for face in FACES.values():
        workspace.locate(face.media).parent.mkdir(parents=True, exist_ok=True)
        workspace.locate(face.media).write_bytes(face.id.encode())


@pytest.mark.parametrize("name", VOTES)
def test_a_file_carries_all_votes_from_one_workspace_to_another(
    workspace: Workspace, tmp_path: Path, name: str
) -> None:
    team(workspace)
    other = Workspace.init(tmp_path / "other", classes=CLASSES)
    put(other)
    file, again = tmp_path / f"votes{SUFFIXES[name]}", tmp_path / f"again{SUFFIXES[name]}"
    written = export_votes(workspace, file, format=name, rejected=True)
    assert written.votes == (5 if name == "coco" else 6)
    assert written.losses == (
        ["COCO has no annotation without a category: 1 vote without a label stay out"] if name == "coco" else []
    )
    assert (import_votes(workspace, file).new, import_votes(other, file, dry_run=True).new) == (0, written.votes)
    assert import_votes(other, file).new == written.votes
    once_more = import_votes(other, file)
    assert (once_more.new, once_more.known) == (0, written.votes)
    export_votes(other, again, format=name, rejected=True)
    assert again.read_bytes() == file.read_bytes()
