"""The ledger of votes: nothing lost, nothing doubled, nothing forgotten."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from emolab.catalog import Catalog, activity, pool_columns, samples, tallies, votes
from emolab.errors import DataError
from emolab.records import Sample, Vote

CLASSES = ("happiness", "sadness", "neutral")


def vote(sample: str, annotator: str, label: str | None, origin: str, **more: object) -> Vote:
    return replace(Vote(sample_id=sample * 64, annotator=annotator, label=label, origin=origin), **more)


@pytest.fixture(autouse=True)
def four_samples(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        samples.add(tx, [Sample(id=letter * 64, media=f"{letter}.png") for letter in "abcd"])


def test_the_same_vote_read_twice_counts_once(catalog: Catalog) -> None:
    cast = [vote("a", "ann", "happiness", "studio:1:1:1"), vote("a", "bob", "sadness", "studio:1:1:2")]
    for expected in (2, 0):
        with catalog.begin() as tx:
            assert votes.append(tx, cast) == expected
    with catalog.connect() as conn:
        assert tallies.count(conn)["active"] == 2
        assert pool_columns.read(conn).votes.tolist() == [2, 0, 0, 0]


def test_an_edited_vote_supersedes_the_earlier_which_stays_in_the_ledger(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        votes.append(tx, [vote("a", "ann", "happiness", "studio:1:1:1")])
        votes.append(tx, [vote("a", "ann", "sadness", "studio:1:1:1")])
    with catalog.connect() as conn:
        assert [v.label for v in votes.iterate(conn)] == ["sadness"]
        assert tallies.count(conn) == {"active": 1, "people": 1, "meta": 0, "skipped": 0, "rejected": 0, "withdrawn": 1}
        assert pool_columns.read(conn).votes.tolist() == [1, 0, 0, 0]


def test_an_edit_back_to_the_first_answer_counts_again(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        for label in ("happiness", "sadness", "happiness"):
            votes.append(tx, [vote("a", "ann", label, "studio:1:1:1")])
    with catalog.connect() as conn:
        assert [v.label for v in votes.iterate(conn)] == ["happiness"]


def test_a_withdrawn_vote_no_longer_counts_and_can_come_back(catalog: Catalog) -> None:
    cast = [vote("a", "ann", "happiness", "o1"), vote("b", "ann", "neutral", "o2")]
    with catalog.begin() as tx:
        votes.append(tx, cast)
        assert votes.withdraw(tx, ["o1", "unknown origin"], "deleted on the server") == 1
        assert votes.withdraw(tx, ["o1"], "deleted on the server") == 0
    with catalog.connect() as conn:
        assert [v.sample_id[0] for v in votes.iterate(conn)] == ["b"]
        assert pool_columns.read(conn).votes.tolist() == [0, 1, 0, 0]
    with catalog.begin() as tx:
        assert votes.append(tx, cast) == 1


def test_skips_meta_labels_and_rejected_votes_are_kept_apart_from_classes(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        votes.append(
            tx,
            [
                vote("a", "ann", None, "o1"),
                vote("a", "bob", "no_face", "o2"),
                vote("a", "eve", "happy-ish", "o3", rejected="not a class of this project"),
                vote("b", "ann", "sadness", "o4", count=7),
            ],
        )
    with catalog.connect() as conn:
        totals = tallies.count(conn)
        assert totals == {"active": 1, "people": 7, "meta": 1, "skipped": 1, "rejected": 1, "withdrawn": 0}
        assert tallies.meta_counts(conn) == {"a" * 64: {"no_face": 1}}
        assert pool_columns.read(conn).votes.tolist() == [1, 7, 0, 0]


def test_the_table_holds_active_class_votes_by_column(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        votes.append(
            tx,
            [
                vote("c", "bob", "sadness", "o1"),
                vote("a", "ann", "happiness", "o2", count=3),
                vote("a", "bob", "unknown", "o3"),
                vote("a", "bob", "calm", "o4"),
            ],
        )
    with catalog.connect() as conn:
        table = tallies.table(conn, CLASSES)
    rows = [
        (table.samples[s][0], table.annotators[a], table.classes[label], weight)
        for s, a, label, weight in zip(table.sample, table.annotator, table.label, table.weight, strict=True)
    ]
    assert sorted(rows) == [("a", "ann", "happiness", 3.0), ("c", "bob", "sadness", 1.0)]
    assert (table.sample.dtype, table.label.dtype, table.weight.dtype) == (np.int32, np.int16, np.float32)


def test_an_empty_ledger_gives_an_empty_table(catalog: Catalog) -> None:
    with catalog.connect() as conn:
        table = tallies.table(conn, CLASSES)
    assert (len(table.samples), len(table.annotators), table.sample.shape) == (0, 0, (0,))


def test_a_vote_about_an_unknown_sample_is_refused_and_nothing_is_kept(catalog: Catalog) -> None:
    with pytest.raises(DataError, match="which is not in the catalog"), catalog.begin() as tx:
        votes.append(tx, [vote("a", "ann", "happiness", "o1"), vote("e", "ann", "happiness", "o2")])
    with catalog.connect() as conn:
        assert tallies.count(conn)["active"] == 0


def test_two_answers_of_one_origin_in_one_batch_are_refused(catalog: Catalog) -> None:
    with pytest.raises(DataError, match="two different votes of the same origin o1"), catalog.begin() as tx:
        votes.append(tx, [vote("a", "ann", "happiness", "o1"), vote("a", "ann", "sadness", "o1")])


def test_origins_are_found_by_prefix(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        votes.append(tx, [vote("a", "ann", "happiness", f"studio:s:{p}:{i}") for p in (1, 2) for i in (1, 2)])
    with catalog.connect() as conn:
        assert sorted(votes.origins(conn, "studio:s:1:")) == ["studio:s:1:1", "studio:s:1:2"]


def test_what_was_shown_and_what_else_was_asked_is_kept_and_another_extra_answer_is_an_edit(catalog: Catalog) -> None:
    first = vote("a", "ann", "happiness", "o1", shown="sadness", extra={"quality": 4, "why": ["mouth", "eyes"]})
    with catalog.begin() as tx:
        assert votes.append(tx, [first]) == 1
        assert votes.append(tx, [replace(first, extra={"why": ["mouth", "eyes"], "quality": 4})]) == 0
        assert votes.append(tx, [replace(first, shown=None)]) == 0
        assert votes.append(tx, [replace(first, extra={"quality": 5})]) == 1
    with catalog.connect() as conn:
        (now,) = votes.iterate(conn)
        assert (now.shown, now.extra) == ("sadness", {"quality": 5})
        assert tallies.count(conn)["withdrawn"] == 1


def test_the_ledger_remembers_what_was_refused_and_what_was_shown(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        votes.append(tx, [vote("a", "ann", "sadness", "o1", rejected="a copy", shown="sadness")])
        votes.append(tx, [vote("a", "ann", "happiness", "o1")])
        votes.append(tx, [vote("b", "ann", "neutral", "o2", shown="")])
        votes.append(tx, [vote("b", "ann", None, "o3", rejected="skipped", shown="?")])
        votes.withdraw(tx, ["o2"], "deleted")
    with catalog.connect() as conn:
        assert votes.known(conn, ["o1", "o2", "o3", "o4"], refused=["a copy"]) == {
            "o1": votes.Known("happiness", "sadness", {"sadness": "a copy"}),
            "o2": votes.Known(None, ""),
            "o3": votes.Known(None, "?"),
        }


def test_skips_have_a_column_of_their_own(catalog: Catalog) -> None:
    cast = [
        vote("a", "ann", None, "o1", rejected="skipped"),
        vote("b", "ann", None, "o2", rejected="skipped"),
        vote("c", "ann", "sadness", "o3", rejected="taken over from a prediction"),
        vote("d", "ann", None, "o4", rejected="no answer given"),
        vote("a", "bob", None, "o5"),
        vote("b", "bob", "no_face", "o6"),
        vote("c", "bob", "sadness", "o7"),
    ]
    with catalog.begin() as tx:
        votes.append(tx, cast)
    with catalog.connect() as conn:
        ann, bob = activity.annotators(conn)
        assert (ann.votes, ann.meta, ann.skips, ann.rejected) == (0, 0, 2, 2)
        assert (bob.votes, bob.meta, bob.skips, bob.rejected) == (1, 1, 1, 0)
        counted = tallies.count(conn)
    assert {name: counted[name] for name in ("active", "meta", "skipped", "rejected")} == {
        "active": 1, "meta": 1, "skipped": 3, "rejected": 2,
    }  # fmt: skip


def test_the_speed_of_the_team_is_that_of_its_people_of_late(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    def timed(sample: str, name: str, seconds: float) -> Vote:
        return vote(sample, name, "neutral", f"{name} {sample}", lead_time=seconds)

    with catalog.begin() as tx:
        assert activity.speeds(tx) == []
        votes.append(tx, [timed("a", "ann", 90.0)])
        votes.append(
            tx, [timed("b", "ann", 2.0), timed("c", "ann", 4.0), timed("a", "bob", 7.0), timed("b", "bob", 99)]
        )
        votes.append(tx, [vote("d", "eve", "neutral", "untimed")])
        votes.append(tx, [timed("d", "fer", 1.0)], kind="dataset")
        votes.withdraw(tx, ["bob b"], "deleted on the server")
        assert activity.speeds(tx) == [4.0, 7.0]
        monkeypatch.setattr(activity, "_LATEST", 3)
        assert activity.speeds(tx) == [3.0, 7.0]


def test_new_votes_are_counted_from_a_mark_or_a_moment_on(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        assert votes.newest(tx) == 0
        votes.append(tx, [vote("a", "ann", "happiness", "studio:1:1:1"), vote("a", "bob", "sadness", "studio:1:2:1")])
        mark = votes.newest(tx)
        votes.append(
            tx,
            [
                vote("b", "ann", "unknown", "studio:1:1:2"),
                vote("c", "ann", None, "studio:1:1:3", rejected="skipped"),
                vote("d", "ann", "sadness", "studio:1:1:4"),
                vote("d", "bob", "sadness", "studio:1:2:4"),
            ],
        )
        votes.withdraw(tx, ["studio:1:1:4"], "deleted")
    with catalog.connect() as conn:
        assert votes.counted_after(conn, "studio:1:1:") == 2
        assert votes.counted_after(conn, "studio:1:1:", mark=mark) == 1, "no skip, no withdrawn one, no other project"
        assert votes.counted_after(conn, "studio:1:1:", mark=votes.newest(conn)) == 0
        assert votes.counted_after(conn, "studio:1:1:", moment="2026") == 2
        assert votes.counted_after(conn, "studio:1:1:", moment="9999") == 0
