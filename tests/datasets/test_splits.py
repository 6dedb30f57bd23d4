"""Splits never separate what belongs together, keep what is assigned, and hold every label's quota."""

from __future__ import annotations

import random
from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emolab.catalog import samples
from emolab.datasets.splits.assign import assign, connect, fill, held_out
from emolab.errors import DataError, UnknownName
from emolab.records import Sample
from emolab.workspace import Workspace


def test_the_most_held_out_split_wins() -> None:
    assert held_out(["train", None, "valid"]) == "valid"
    assert held_out(["valid", "test"]) == "test"
    assert held_out([None]) is None


def test_ties_of_several_kinds_make_one_unit() -> None:
    group = ["s1", "s1", None, None, None]
    copy = [None, "x", "x", None, None]
    assert connect("abcde", group, copy).tolist() == [0, 0, 0, 1, 2]


def test_single_samples_fill_the_quota_of_every_label_exactly() -> None:
    labels = ["happiness"] * 100 + ["sadness"] * 10 + ["fear"] * 5
    units = [f"u{i}" for i in range(len(labels))]
    splits = assign(units, labels, [None] * len(labels))
    assert Counter(zip(labels, splits, strict=True)) == {
        ("happiness", "train"): 80, ("happiness", "valid"): 20,
        ("sadness", "train"): 8, ("sadness", "valid"): 2,
        ("fear", "train"): 4, ("fear", "valid"): 1,
    }  # fmt: skip
    three = assign(units, labels, [None] * len(labels), shares={"train": 0.6, "valid": 0.2, "test": 0.2})
    assert Counter(three) == {"train": 69, "valid": 23, "test": 23}


def test_the_order_of_samples_does_not_matter_but_the_seed_does() -> None:
    labels = ["happiness", "sadness"] * 50
    units = [f"u{i}" for i in range(100)]
    first = dict(zip(units, assign(units, labels, [None] * 100), strict=True))
    rows = list(range(100))
    random.Random(1).shuffle(rows)
    shuffled = assign([units[i] for i in rows], [labels[i] for i in rows], [None] * 100)
    assert dict(zip([units[i] for i in rows], shuffled, strict=True)) == first
    assert assign(units, labels, [None] * 100, seed=1) != list(first.values())


def test_new_samples_do_not_move_old_ones() -> None:
    labels = ["happiness", "sadness"] * 100
    units = [f"u{i}" for i in range(200)]
    old = assign(units[:50], labels[:50], [None] * 50)
    new = assign(units, labels, [*old, *[None] * 150])
    assert new[:50] == old
    assert Counter(new) == {"train": 160, "valid": 40}


def test_subjects_are_kept_whole_and_labels_stay_balanced() -> None:
    labels, units = [], []
    for subject in range(20):
        labels += ["happiness"] * 6 + ["sadness"] * 4
        units += [f"s{subject}"] * 10
    splits = assign(units, labels, [None] * 200)
    found = defaultdict(set)
    for unit, split in zip(units, splits, strict=True):
        found[unit].add(split)
    assert all(len(each) == 1 for each in found.values())
    assert Counter(splits) == {"train": 160, "valid": 40}
    assert Counter(zip(labels, splits, strict=True))["sadness", "valid"] == 16


def test_newcomers_follow_their_unit_and_published_leaks_are_left_alone() -> None:
    units, given_splits = ["a", "a", "b", "b", "b"], ["valid", None, "train", "test", None]
    assert assign(units, ["x"] * 5, given_splits) == ["valid", "valid", "train", "test", "test"]


def test_two_subjects_still_give_somebody_to_validate_on() -> None:
    assert sorted(set(assign(["a"] * 10 + ["b"] * 9, ["x"] * 19, [None] * 19))) == ["train", "valid"]
    assert set(assign(["a"] * 10, ["x"] * 10, [None] * 10)) == {"train"}


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 8),
            st.sampled_from(["x", "y", None]),
            st.sampled_from(["train", "valid", None, None, None]),
        ),
        max_size=40,
    ),
    st.integers(0, 3),
)
def test_units_are_never_cut_and_given_splits_never_change(
    rows: list[tuple[int, str | None, str | None]], seed: int
) -> None:
    units, labels, known = [str(r[0]) for r in rows], [r[1] for r in rows], [r[2] for r in rows]
    splits = assign(units, labels, known, seed=seed)
    assert all(a == b for a, b in zip(known, splits, strict=True) if a is not None)
    fresh = defaultdict(set)
    for unit, before, split in zip(units, known, splits, strict=True):
        if before is None:
            fresh[unit].add(split)
    assert all(len(each) == 1 for each in fresh.values())


@pytest.mark.parametrize("shares", [{"valid": 1.0}, {"train": 0.5, "valid": 0.2}, {"train": 1.2, "valid": -0.2}])
def test_impossible_shares_are_an_error(shares: dict[str, float]) -> None:
    with pytest.raises(DataError, match="hare"):
        assign(["a"], ["x"], [None], shares=shares)


def test_the_catalog_is_filled_once_and_groups_parents_and_duplicates_hold(workspace: Workspace) -> None:
    def sample(number: int, **more: str) -> Sample:
        return Sample(id=f"{number:064x}", media=f"m/{number}", **more)

    batch = [sample(i) for i in range(100)]
    batch += [sample(200 + i, group="video") for i in range(5)]
    batch += [sample(300 + i, parent="ab" * 32) for i in range(2)]
    batch += [sample(400, representative=f"{401:064x}"), sample(401, representative=f"{401:064x}")]
    with workspace.catalog() as catalog:
        with catalog.begin() as tx:
            samples.add(tx, batch)
            labels = {each.id: "happiness" if i % 2 else "sadness" for i, each in enumerate(batch)}
            report = fill(tx, labels)
        with catalog.connect() as conn:
            stored = samples.splits(conn, list(labels))
        assert report.assigned == Counter(stored.values()) == report.total
        assert report.units == 103
        assert report.assigned["valid"] == pytest.approx(22, abs=1)
        for together in ([200, 201, 202, 203, 204], [300, 301], [400, 401]):
            assert len({stored[f"{i:064x}"] for i in together}) == 1
        with catalog.begin() as tx:
            assert fill(tx, labels).assigned == {}
            assert samples.splits(tx, list(labels)) == stored


def test_a_published_training_set_alone_gives_a_fifth_to_validate_on_where_asked(workspace: Workspace) -> None:
    batch = [Sample(id=f"{i:064x}", media=f"m/{i}", split="train", group=f"s{i // 4}") for i in range(200)]
    labels = {sample.id: "happiness" for sample in batch}
    with workspace.catalog() as catalog, catalog.begin() as tx:
        samples.add(tx, batch)
        assert fill(tx, labels).assigned == {}
        report = fill(tx, labels, without_valid="carve")
        assert (report.carved, report.assigned, report.total) == (40, {"valid": 40}, {"train": 160, "valid": 40})
        again = fill(tx, labels, without_valid="carve")
        assert (again.carved, again.total) == (0, report.total)
        with pytest.raises(UnknownName, match='Unknown policy "keep"'):
            fill(tx, labels, without_valid="keep")


def grown(workspace: Workspace, *batches: tuple[str, str | None, int]) -> list[tuple[int, Counter[tuple[str, str]]]]:
    """What was carved, and (source, split) counted, after each batch of ``(source, split, n)`` and a fill."""
    made: list[tuple[int, Counter[tuple[str, str]]]] = []
    labels: dict[str, str] = {}
    with workspace.catalog() as catalog, catalog.begin() as tx:
        for source, split, n in batches:
            start = len(labels)
            batch = [
                Sample(id=f"{i:064x}", media=f"m/{i}", source=source, split=split) for i in range(start, start + n)
            ]
            samples.add(tx, batch)
            labels |= {each.id: ("happiness", "sadness", "anger")[i % 3] for i, each in enumerate(batch)}
            carved = fill(tx, labels, without_valid="carve").carved
            made.append((carved, Counter((each.source, str(each.split)) for each in samples.iterate(tx))))
            assert fill(tx, labels, without_valid="carve").assigned == {}
    return made


def test_a_training_set_of_others_does_not_send_a_teams_faces_to_valid(workspace: Workspace) -> None:
    batches = [("open", "test", 30), ("open", "train", 100), ("collected", None, 19), ("collected", None, 5),
               ("open2", "train", 366), ("collected", None, 60)]  # fmt: skip
    _, first, second, third, fourth, last = grown(workspace, *batches)
    assert first[0] == first[1]["open", "valid"] == pytest.approx(25, abs=2)
    assert second[1]["collected", "valid"] == pytest.approx(4, abs=1)
    assert third[1]["collected", "valid"] == pytest.approx(5, abs=1)
    assert (second[0], third[0], fourth[0]) == (0, 0, fourth[1]["open2", "valid"])
    assert fourth[1]["open2", "valid"] == pytest.approx(73, abs=2), "31 of 520 would have been held out"
    assert last[1]["collected", "valid"] == pytest.approx(17, abs=2)
    assert all(found["open", "test"] == 30 for _, found in (first, second, third, fourth, last))


def test_a_teams_few_faces_come_first_and_a_training_set_later(workspace: Workspace) -> None:
    first, second = grown(workspace, ("collected", None, 12), ("open", "train", 500))
    assert (first[0], first[1]["collected", "valid"]) == (0, 3)
    assert (second[0], second[1]["collected", "valid"]) == (99, 3)


@pytest.mark.slow
@pytest.mark.parametrize(
    "batches",
    [
        [("published", "valid", 30), ("published", "train", 900)],  # its own small one stays as it is
        [("faces valid", "valid", 220), ("faces", "train", 3000)],  # a name for each half
        [("faces valid", "valid", 50), ("faces", "train", 400)],
    ],
)
def test_published_splits_stay_where_something_is_held_out(
    batches: list[tuple[str, str, int]], workspace: Workspace
) -> None:
    assert [carved for carved, _ in grown(workspace, *batches)] == [0, 0]
