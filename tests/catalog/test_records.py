"""Samples, labels, rounds and models in the catalog."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Connection, Row

from emolab.catalog import Catalog, labels, models, pool_columns, samples, settings, votes
from emolab.catalog.campaign import rounds
from emolab.errors import DataError, UnknownName
from emolab.records import LabelSet, Model, Sample, Suggestion, Vote

FULL = Sample(
    id="a" * 64,
    media="media/aa/a.png",
    group="anna",
    consent="signed 2026",
    width=48,
    height=50,
    split="train",
    parent="f" * 64,
    box=(1.0, 2.0, 30.0, 40.0),
    landmarks=((1.0, 2.0), (3.0, 4.0)),
    quality={"blur": 0.25},
    name="anna.png",
    phash=(1 << 64) - 3,
    added_at="2026-01-02T03:04:05.000Z",
)


def plain(letter: str, **more: object) -> Sample:
    return replace(Sample(id=letter * 64, media=f"{letter}.png"), **more)


@pytest.mark.slow
def test_a_sample_reads_back_as_it_was_written(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        samples.add(tx, [FULL])
    with catalog.connect() as conn:
        assert samples.get(conn, "aaaa") == FULL
        assert list(samples.iterate(conn, split="train")) == [FULL]
        assert list(samples.iterate(conn, split="test")) == []


def test_adding_again_changes_nothing_and_says_so(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        first = samples.add(tx, [plain("a"), plain("b"), plain("a")])
        second = samples.add(tx, [plain("b", group="other"), plain("c")])
    assert [name[0] for name in first.added] == ["a", "b"]
    assert [name[0] for name in first.existing] == ["a"]
    assert ([n[0] for n in second.added], [n[0] for n in second.existing]) == (["c"], ["b"])
    with catalog.connect() as conn:
        assert samples.get(conn, "b").group is None


def test_an_id_must_be_clear(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        samples.add(tx, [Sample(id="ab" + "0" * 62, media="m"), Sample(id="ac" + "0" * 62, media="m")])
        with pytest.raises(DataError, match="more than one sample"):
            samples.get(tx, "a")
        with pytest.raises(DataError, match="no sample"):
            samples.get(tx, "%")
        with pytest.raises(DataError, match="1 samples are not in the catalog"):
            samples.by_ids(tx, ["ab" + "0" * 62, "zz"])


def test_the_pool_knows_votes_pending_duplicates_groups_and_judges(catalog: Catalog) -> None:
    batch = [
        plain("a", group="anna"),
        plain("b", group="anna", representative="a" * 64),
        plain("c", representative="c" * 64, split="valid"),
        plain("d"),
    ]
    with catalog.begin() as tx:
        samples.add(tx, batch)
        votes.append(tx, [Vote(sample_id="a" * 64, annotator="ann", label="happiness", origin="o1")])
        suggestion = Suggestion(sample_id="d" * 64, score=1.0, reason="r", strategy="margin", round=1, rank=0)
        rounds.create(tx, [suggestion], strategy="margin", model=None, seed=0, settings={})
    with catalog.connect() as conn:
        pool = pool_columns.read(conn)
    assert [name[0] for name in pool.ids] == ["a", "b", "c", "d"]
    assert pool.votes.tolist() == [1, 0, 0, 0]
    assert pool.pending.tolist() == [False, False, False, True]
    assert pool.hidden.tolist() == [False, True, False, False]
    assert pool.group.tolist() == [0, 0, -1, -1]
    assert pool.judge.tolist() == [False, False, True, False]


def test_an_empty_pool_has_empty_columns(catalog: Catalog) -> None:
    with catalog.connect() as conn:
        pool = pool_columns.read(conn)
    assert (pool.ids, pool.votes.shape, pool.pending.dtype) == ([], (0,), np.dtype(bool))


def test_splits_are_checked(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        samples.add(tx, [plain("a")])
        samples.set_splits(tx, {"a" * 64: "valid"})
        assert samples.get(tx, "a").split == "valid"
        with pytest.raises(DataError, match="dev is not a split"):
            samples.set_splits(tx, {"a" * 64: "dev"})


def labelled(version: str, names: str) -> LabelSet:
    n = len(names)
    return LabelSet(
        version=version,
        classes=("happiness", "sadness"),
        samples=[letter * 64 for letter in names],
        probs=np.tile(np.array([[0.75, 0.25]], dtype=np.float32), (n, 1)),
        hard=np.zeros(n, dtype=np.int16),
        votes=np.full(n, 4, dtype=np.int32),
        agreement=np.full(n, 0.75, dtype=np.float32),
        method="soft",
        created_at="2026-01-02T03:04:05.000Z",
        settings={"prior": 1.0},
    )


def test_a_label_set_reads_back_and_a_new_version_takes_over(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        samples.add(tx, [plain(letter) for letter in "abc"])
        assert labels.current(tx) is None
        assert labels.write(tx, labelled("v1", "ab"))
        assert not labels.write(tx, labelled("v1", "ab"))
        assert labels.write(tx, labelled("v2", "abc"))
    with catalog.connect() as conn:
        found = labels.current(conn)
        summary = labels.summary(conn)
    assert found is not None
    assert (found.version, found.samples, found.settings) == ("v2", ["a" * 64, "b" * 64, "c" * 64], {"prior": 1.0})
    assert found.probs.tolist() == [[0.75, 0.25]] * 3
    assert summary is not None
    assert summary["per_class"] == {"happiness": 3, "sadness": 0}


def test_a_set_that_is_replaced_while_it_is_read_is_read_whole(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    with catalog.begin() as tx:
        samples.add(tx, [plain(letter) for letter in "abc"])
        labels.write(tx, labelled("v1", "ab"))
    read, replaced = labels._read, []

    def disturbed(conn: Connection, found: Row[Any]) -> LabelSet:
        if not replaced:
            replaced.append(found.version)
            with catalog.begin() as other:
                labels.write(other, labelled("v2", "abc"))
        return read(conn, found)

    monkeypatch.setattr(labels, "_read", disturbed)
    with catalog.connect() as conn:
        found = labels.current(conn)
    assert found is not None
    assert replaced == ["v1"]
    assert (found.version, len(found.samples)) in {("v1", 2), ("v2", 3)}


def test_a_label_about_an_unknown_sample_is_refused(catalog: Catalog) -> None:
    with pytest.raises(DataError, match="A label is about sample"), catalog.begin() as tx:
        labels.write(tx, labelled("v1", "z"))


def test_suggestions_stay_unsent_until_a_server_has_them_or_somebody_answers(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        samples.add(tx, [plain(letter) for letter in "abc"])
        chosen = [
            Suggestion(sample_id=letter * 64, score=0.5, reason="r", strategy="margin", round=1, rank=rank)
            for rank, letter in enumerate("cab")
        ]
        assert rounds.create(tx, chosen, strategy="margin", model="m", seed=7, settings={"n": 3}).number == 1
        votes.append(tx, [Vote(sample_id="a" * 64, annotator="ann", label="sadness", origin="o")])
    with catalog.connect() as conn:
        assert rounds.next_number(conn) == 2
        assert [s.sample_id[0] for s in rounds.suggestions(conn)] == ["c", "a", "b"]
        assert [s.sample_id[0] for s in rounds.suggestions(conn, unsent=True)] == ["c", "b"]
        assert rounds.list_all(conn)[0].settings == {"n": 3}


def model(name: str) -> Model:
    return Model(
        id=name, path=f"models/{name}", classes=("a", "b"), config={"epochs": 1}, snapshot="s", metrics={"f": 0.5},
        created_at=f"2026-01-02T03:04:0{name[-1]}.000Z",
    )  # fmt: skip


def test_models_are_found_by_alias_and_start_of_id(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        for name in ("abc1", "abd2"):
            assert models.add(tx, model(name))
            models.set_alias(tx, "champion", name)
        assert not models.add(tx, model("abc1"))
        assert models.get(tx, "champion").id == "abd2"
        assert models.get(tx, "abc") == model("abc1")
        assert [m.aliases for m in models.list_all(tx)] == [(), ("champion",)]
        with pytest.raises(DataError, match='2 models have ids that start with "ab"'):
            models.get(tx, "ab")
        with pytest.raises(UnknownName, match='Did you mean "champion"'):
            models.get(tx, "champ")


def test_without_models_the_error_says_train(catalog: Catalog) -> None:
    with catalog.connect() as conn, pytest.raises(UnknownName, match="emolab train"):
        models.get(conn, "champion")


def test_the_secret_is_made_once(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        first = settings.secret(tx)
    with catalog.begin() as tx:
        assert settings.secret(tx) == first
        assert len(first) == 32
