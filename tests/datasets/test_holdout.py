"""The holdout: whole units, for good, and never trained on, by any command."""

from __future__ import annotations

from pathlib import Path

import pytest

import emolab
from emolab.catalog import Catalog, pool_columns, samples
from emolab.datasets.splits import assign, holdout, resplit
from emolab.errors import DataError
from emolab.records import Sample
from emolab.workspace import Workspace
from tests.support.calling import emolab as command


def plain(letter: str, **more: object) -> Sample:
    return Sample(id=letter * 64, media=f"m/{letter}", **more)  # type: ignore[arg-type]


@pytest.fixture
def home(tmp_path: Path) -> Workspace:
    """Samples a to f: a and b are of ann; c is a near copy of d; e and f are alone; e and c are to train on."""
    workspace = Workspace.init(tmp_path / "faces", classes=("happiness", "sadness"))
    with workspace.catalog() as catalog, catalog.begin() as tx:
        samples.add(
            tx,
            [
                plain("a", group="ann"), plain("b", group="ann"), plain("c", representative="d" * 64, split="train"),
                plain("d"), plain("e", split="train"), plain("f"),
            ],
        )  # fmt: skip
    return workspace


def splits(workspace: Workspace) -> dict[str, str | None]:
    with workspace.catalog() as catalog, catalog.connect() as conn:
        return {one.id[0]: one.split for one in samples.iterate(conn)}


def test_what_belongs_together_goes_together(home: Workspace) -> None:
    planned = emolab.holdout_add(home, ids=["a" * 64], dry_run=True)
    assert (len(planned.moves.to), planned.total, planned.learned) == (2, 2, 0)
    assert set(splits(home).values()) == {None, "train"}
    emolab.holdout_add(home, ids=["a" * 64])
    done = emolab.holdout_add(home, ids=["d" * 64])
    assert (len(done.moves.to), done.learned, done.total) == (2, 1, 4)
    assert splits(home) == {"a": "holdout", "b": "holdout", "c": "holdout", "d": "holdout", "e": "train", "f": None}


def test_a_draw_takes_only_what_nobody_has_trained_on(home: Workspace) -> None:
    with pytest.raises(DataError, match="Only 3 samples could be drawn, 4 were asked for"):
        emolab.holdout_add(home, n=4)
    assert emolab.holdout_add(home, n=3).learned == 0
    assert {name for name, split in splits(home).items() if split == "holdout"} == {"a", "b", "f"}


def test_the_same_seed_draws_the_same_samples(home: Workspace) -> None:
    drawn = [sorted(emolab.holdout_add(home, n=1, seed=seed, dry_run=True).moves.to) for seed in (0, 0, 1, 2, 3, 4)]
    assert drawn[0] == drawn[1]
    assert len({tuple(each) for each in drawn}) == 2


def test_no_split_command_takes_a_sample_out(home: Workspace) -> None:
    emolab.holdout_add(home, ids=["a" * 64, "d" * 64])
    before = splits(home)
    with pytest.raises(DataError, match="in the holdout, which no split takes from"):
        emolab.set_split(home, "train", ids=["a" * 64])
    with pytest.raises(DataError, match="holdout is not a split"):
        emolab.set_split(home, "holdout", ids=["f" * 64])
    emolab.repair_splits(home, groups=True)
    emolab.draw_splits(home, {"train": 0.5, "test": 0.5}, keep_test=False)
    assert {name: split for name, split in splits(home).items() if before[name] == "holdout"} == dict.fromkeys(
        "abcd", "holdout"
    )
    moved = emolab.set_split(home, "test", sources=["collected"])
    assert sorted(one[0] for one in moved.moves.to) == ["e", "f"]
    with home.catalog() as catalog, catalog.begin() as tx, pytest.raises(DataError, match="no split takes from"):
        samples.set_splits(tx, {"a" * 64: None})


def test_what_comes_in_later_joins_and_what_is_to_train_on_is_refused(home: Workspace) -> None:
    emolab.holdout_add(home, ids=["a" * 64, "d" * 64])
    with home.catalog() as catalog, catalog.begin() as tx:
        samples.add(tx, [plain("g", group="ann"), plain("h")])
        report = assign.fill(tx, dict.fromkeys([letter * 64 for letter in "abcdefgh"], "happiness"))
        holdout.check_to_train(tx)
    assert splits(home)["g"] == "holdout"
    assert set(report.total) <= {"train", "valid"}
    with home.catalog() as catalog, catalog.begin() as tx:
        samples.add(tx, [plain("i", representative="d" * 64, split="train")])
        with pytest.raises(DataError, match="1 sample to train on is near copies of holdout samples") as caught:
            holdout.check_to_train(tx)
        assert caught.value.hint == "Bring them into the holdout: emolab holdout add --settle"
    assert emolab.holdout_list(home).tied == ["i" * 64]
    emolab.holdout_add(home, settle=True)
    assert emolab.holdout_list(home).tied == []


def test_holdout_samples_judge_and_are_not_proposed(home: Workspace) -> None:
    emolab.holdout_add(home, ids=["f" * 64])
    with home.catalog() as catalog, catalog.connect() as conn:
        pool = pool_columns.read(conn)
        assert [name[0] for name, judge in zip(pool.ids, pool.judge, strict=True) if judge] == ["f"]


def test_the_command_asks_and_lists(home: Workspace) -> None:
    said = command("-w", home.root, "holdout", "add", "--sample", "e" * 64)
    assert said.code == 1
    assert "models may have learned 1 of them" in " ".join(said.err.split()) or "--yes" in said.err
    assert splits(home)["e"] == "train"
    assert command("-w", home.root, "holdout", "add", "--sample", "e" * 64, "--yes").code == 0
    assert "collected" in command("-w", home.root, "holdout", "list").err
    assert command("-w", home.root, "holdout", "add").code == 2


def test_every_split_of_a_new_catalog_is_counted(tmp_path: Path) -> None:
    with Catalog(f"sqlite:///{tmp_path / 'c.db'}") as catalog:
        with catalog.begin() as tx:
            samples.add(tx, [plain("a"), plain("b")])
            samples.set_splits(tx, {"a" * 64: None}, holdout=True)
        with catalog.connect() as conn:
            assert samples.count_by(conn, "split") == {"holdout": 1, None: 1}
            assert resplit.units_of(conn).reserved == {0}
            assert catalog.miscounts() == []
