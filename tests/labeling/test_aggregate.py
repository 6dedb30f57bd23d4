"""From the ledger to a versioned set of labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from emolab.catalog import labels, samples
from emolab.catalog import votes as ledger
from emolab.errors import DataError, UnknownName
from emolab.labeling.labels.aggregate import aggregate, label_set, unlabelable, version
from emolab.plugins import AGGREGATORS
from emolab.records import Sample, Vote
from emolab.workspace import Workspace
from tests.labeling.test_aggregators import votes as table_of
from tests.support.voting import vote

ANSWERS = {
    "a" * 64: {"ann": "happiness", "bob": "happiness", "cho": "sadness"},
    "b" * 64: {"ann": "sadness", "bob": "sadness"},
    "c" * 64: {"ann": "neutral"},
    "d" * 64: {"ann": "no_face", "bob": "no_face", "cho": "neutral"},
    "e" * 64: {"ann": None, "bob": "unknown"},
}


def test_labels_are_stored_with_votes_and_agreement(workspace: Workspace) -> None:
    vote(workspace, ANSWERS)
    done = aggregate(workspace, method="majority")
    with workspace.catalog() as catalog, catalog.connect() as conn:
        stored = labels.current(conn)
    assert stored is not None and stored.version == done.labels.version
    hard = {sample[0]: stored.classes[c] for sample, c in zip(stored.samples, stored.hard, strict=True)}
    assert hard == {"a": "happiness", "b": "sadness", "c": "neutral"}
    assert stored.votes.tolist() == [3, 2, 1]
    assert stored.agreement.tolist() == pytest.approx([2 / 3, 1, 1])
    assert (done.votes, done.annotators, done.set_aside, done.too_few, done.ties) == (6, 3, 2, 0, 0)


def test_too_few_votes_and_what_is_no_face_get_no_label(workspace: Workspace) -> None:
    vote(workspace, ANSWERS)
    done = aggregate(workspace, min_votes=2)
    assert [sample[0] for sample in done.labels.samples] == ["a", "b"]
    assert (done.too_few, done.set_aside) == (1, 2)


def test_running_it_again_changes_nothing_and_a_new_vote_makes_a_new_version(workspace: Workspace) -> None:
    vote(workspace, ANSWERS)
    first, again = aggregate(workspace), aggregate(workspace)
    assert first.new and not again.new
    assert first.labels.version == again.labels.version
    vote(workspace, {"c" * 64: {"bob": "neutral"}})
    later = aggregate(workspace)
    assert later.new and later.labels.version != first.labels.version


def test_an_edited_vote_counts_once(workspace: Workspace) -> None:
    vote(workspace, {"a" * 64: {"ann": "happiness"}})
    vote(workspace, {"a" * 64: {"ann": "sadness"}})
    done = aggregate(workspace)
    assert done.votes == 1
    assert done.labels.classes[done.labels.hard[0]] == "sadness"


def test_settings_decide_and_options_override(workspace: Workspace) -> None:
    vote(workspace, ANSWERS)
    settled = Workspace.find(workspace.root, overrides=["labeling.aggregator=soft", "labeling.min_votes=3"])
    done = aggregate(settled)
    assert (done.labels.method, len(done.labels.samples)) == ("soft", 1)
    assert aggregate(settled, method="majority", min_votes=1).labels.method == "majority"


def test_no_votes_says_what_to_do(workspace: Workspace) -> None:
    with pytest.raises(DataError, match="There are no votes for any class yet") as error:
        aggregate(workspace)
    assert error.value.hint == 'Run "emolab label pull".'
    vote(workspace, ANSWERS)
    with pytest.raises(DataError, match=r"No sample has 9 or more votes for a class \(4 have fewer\)"):
        aggregate(workspace, min_votes=9)


def test_an_unknown_method_names_the_nearest(workspace: Workspace) -> None:
    with pytest.raises(UnknownName, match=r'Unknown aggregator "majorty"\. Did you mean "majority"\?'):
        aggregate(workspace, method="majorty")


def test_counted_votes_of_an_open_dataset_count_as_people(workspace: Workspace) -> None:
    with workspace.catalog() as catalog, catalog.begin() as tx:
        samples.add(tx, [Sample(id="a" * 64, media="media/a.png")])
        ledger.append(
            tx,
            [
                Vote(sample_id="a" * 64, annotator="ferplus", label=said, count=people, origin=f"reader:f:{said}")
                for said, people in (("happiness", 7), ("neutral", 3))
            ],
            kind="dataset",
        )
    found = aggregate(workspace).labels
    assert found.votes.tolist() == [10]
    assert found.agreement.tolist() == pytest.approx([0.7])
    assert found.probs[0].tolist() == pytest.approx([0.7, 0.0, 0.3], abs=0.06)


def test_the_version_depends_on_content_only() -> None:
    rows: Sequence[tuple[str, str, str]] = [("x", "ann", "joy"), ("x", "bob", "fear"), ("y", "ann", "joy")]
    one, two = table_of(rows), table_of(list(reversed(rows)))
    renamed = table_of([("x", "ann", "joy"), ("x", "cho", "fear"), ("y", "ann", "joy")])
    assert version(one, {"method": "soft"}) == version(two, {"method": "soft"})
    assert version(one, {"method": "soft"}) != version(renamed, {"method": "soft"})
    assert version(one, {"method": "soft"}) != version(one, {"method": "hybrid"})
    assert version(one, {}, without=["x"]) != version(one, {})


def test_half_the_people_can_call_a_sample_unlabelable() -> None:
    table = table_of([("x", "ann", "joy"), ("y", "ann", "joy"), ("y", "bob", "joy")])
    meta = {"x": {"no_face": 1}, "y": {"unknown": 1}, "z": {"multiple": 1}}
    assert unlabelable(table, meta) == {"x", "z"}


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (np.ones((1, 2)), r'The aggregator "mine" returned shape \(1, 2\); expected \(1, 3\)'),
        (np.ones((1, 3)), 'The aggregator "mine" returned rows that are not distributions'),
        (np.full((1, 3), np.nan), 'The aggregator "mine" returned rows that are not distributions'),
    ],
)
def test_a_plugin_that_breaks_the_contract_is_told(
    monkeypatch: pytest.MonkeyPatch, answer: np.ndarray, message: str
) -> None:
    monkeypatch.setattr(type(AGGREGATORS), "load", lambda self, name: lambda votes, options: answer)
    with pytest.raises(DataError, match=message):
        label_set(table_of([("x", "ann", "joy")]), method="mine")
