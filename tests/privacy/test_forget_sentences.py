"""``emolab forget`` of somebody's sentences: neither their text nor their ids are left anywhere."""

from __future__ import annotations

from pathlib import Path

import pytest

import emolab
from emolab.catalog import samples, votes
from emolab.loop.operate.cycle.run_cycle import COMPLETE
from emolab.records import Vote
from emolab.workspace import Workspace
from tests.support.held_people import Needle, traces_left
from tests.support.pictures import put

PEOPLE = ("annabella", "bobsleigh", "cydonia", "delphine", "everard", "fenella")
SAID = {"happiness": "glad", "anger": "furious", "fear": "afraid"}


def spoken(who: str) -> list[str]:
    """Thirty-two sentences of a person with a word of their own each, which begins with the name, and one of a mood."""
    letters = "abcdefghijklmnopqrstuvwxyzåäöéßñ"
    return [f"{who}{letter}word and {list(SAID.values())[n % 3]} it was,{who}" for n, letter in enumerate(letters)]


@pytest.fixture
def talk(tmp_path: Path) -> Workspace:
    """Sentences of six people with votes, labels, a model that learned from them, a round, a snapshot and a cycle."""
    workspace = Workspace.init(tmp_path / "talk", classes=tuple(SAID), modality="text")
    rows = [row for who in PEOPLE for row in spoken(who)]
    emolab.collect(workspace, put(tmp_path / "in", {"all.csv": "text,speaker\n" + "\n".join(rows) + "\n"}))
    with workspace.catalog() as catalog, catalog.begin() as tx:
        cast = []
        for one in [one for n, one in enumerate(samples.iterate(tx)) if n % 6]:
            text = workspace.locate(one.media).read_text(encoding="utf-8")
            label = next(name for name, word in SAID.items() if word in text)
            cast.append(Vote(sample_id=one.id, annotator="ann", label=label, origin=f"t:{one.id}"))
        votes.append(tx, cast)
    emolab.aggregate(workspace)
    done = emolab.cycle(workspace.with_settings({"cycle.push": False, "suggest.n": 5}), now=True)
    assert done.outcome == COMPLETE
    emolab.snapshot_create(workspace, name="before")
    return workspace


@pytest.mark.slow
def test_no_word_of_a_person_is_left_and_the_others_stay(talk: Workspace) -> None:
    with talk.catalog() as catalog, catalog.connect() as conn:
        of = {who: [one for one in samples.iterate(conn) if one.group == who] for who in ("annabella", "bobsleigh")}
    assert len(of["annabella"]) == 32
    needles = {
        who: [
            Needle("name", who.encode()),
            *(Needle("id", one.id.encode()) for one in found),
            *(Needle("id, raw", bytes.fromhex(one.id)) for one in found),
        ]
        for who, found in of.items()
    }
    before, others = traces_left(talk.root, needles["annabella"]), traces_left(talk.root, needles["bobsleigh"])
    assert len(before) > 32
    done = emolab.forget(talk, subjects="annabella")
    assert (done.samples, len(done.models)) == (32, 1)
    assert traces_left(talk.root, needles["annabella"]) == {}
    after = traces_left(talk.root, needles["bobsleigh"])
    assert {name for name in others if "/media/" in name} == {name for name in after if "/media/" in name}
    again = emolab.cycle(talk.with_settings({"cycle.push": False, "suggest.n": 5}))
    assert again.reason.startswith("the champion learned from samples that were forgotten since")
    assert again.outcome == COMPLETE
    assert emolab.why(talk, again.steps[2].came["model"]).facts["data"]["forgotten"] == 0
