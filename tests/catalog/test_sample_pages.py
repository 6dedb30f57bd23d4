"""Pages of samples: whatever the filter and the order, they hold each sample that fits once, and are counted right."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from emolab.catalog import Catalog, fitness, labels, sample_pages, samples, votes
from emolab.catalog.campaign import rounds
from emolab.catalog.sample_pages import (
    ANY,
    NONE,
    FoundPage,
    Order,
    PageRow,
    PartCount,
    SampleFilter,
    count,
    of_ids,
    page,
)
from emolab.records import LabelSet, Sample, Suggestion, Vote
from emolab.votes.picture_bar import Bar

N, PAGE = 90, 7
CLASSES = ("anger", "fear")
BAR = Bar(max_blur=0.6, min_side=40)
FILTERS = [
    SampleFilter(**given)  # type: ignore[arg-type]
    for given in (
        {},
        {"label": "fear"},
        {"label": NONE},
        {"label": "joy"},
        {"source": "camera"},
        {"source": "nowhere"},
        {"split": "test"},
        {"split": NONE},
        {"round": 1},
        {"round": 2, "label": "anger"},
        {"agreement": 0.5},
        {"duplicates": True},
        {"unfit": ANY, "bar": BAR},
        {"unfit": fitness.BLURRED, "bar": BAR},
        {"unfit": fitness.FACELESS, "bar": BAR},
        {"answered": True},
        {"answered": False, "label": NONE},
        {"label": "fear", "split": "train", "source": "camera", "bar": BAR},
    )
]


def name(number: int) -> str:
    return f"{number:064d}"


@pytest.fixture
def filled(catalog: Catalog) -> Catalog:
    """Samples of every kind; every eleventh has been taken out, two thirds have a label."""
    rng = np.random.default_rng(5)
    with catalog.begin() as tx:
        samples.add(tx, [drawn(i, rng) for i in range(N)])
        said = [Vote(sample_id=name(i), annotator="ann", label="fear", origin=f"o{i}") for i in range(0, N, 2)]
        votes.append(tx, said)
        labels.write(tx, labelled([i for i in range(N) if i % 3], rng))
        for number in (1, 2):
            asked = [
                Suggestion(sample_id=name(i), score=1, reason="why", strategy="margin", round=number, rank=rank)
                for rank, i in enumerate(rng.permutation(N)[:20].tolist())
            ]
            rounds.create(tx, asked, strategy="margin", model=None, seed=0, settings={})
        tx.exec_driver_sql("UPDATE samples SET removed_at = '2026' WHERE pk - pk / 11 * 11 = 3")
    return catalog


def drawn(number: int, rng: np.random.Generator) -> Sample:
    return Sample(
        id=name(number),
        media="m",
        source=("camera", "photos")[rng.integers(2)],
        split=(None, "train", "valid", "test")[rng.integers(4)],
        representative=name(int(rng.integers(N))) if rng.random() < 0.4 else None,
        quality={"blur": float(rng.random()), "faces": float(rng.integers(2)), "size": float(rng.integers(20, 60))},
    )


def labelled(numbers: list[int], rng: np.random.Generator) -> LabelSet:
    n = len(numbers)
    return LabelSet(
        version="v1", classes=CLASSES, samples=[name(i) for i in numbers], method="majority", created_at="2026",
        probs=np.full((n, 2), 0.5, dtype=np.float32), hard=rng.integers(2, size=n).astype(np.int16),
        votes=np.full(n, 4, dtype=np.int32), agreement=rng.choice([0.25, 0.5, 0.75, 1.0], size=n).astype(np.float32),
    )  # fmt: skip


def pages(catalog: Catalog, wanted: SampleFilter, order: Order, seconds: float = 9.0) -> Iterator[list[PageRow]]:
    after = None
    while True:
        with catalog.connect() as conn:
            found = page(conn, wanted, order=order, after=after, n=PAGE, seconds=seconds)
        yield found.rows
        after = found.end
        if after is None:
            return


def counts(catalog: Catalog, wanted: SampleFilter, seconds: float = 9.0) -> list[int]:
    found, below = [], None
    while not found or below is not None:
        with catalog.connect() as conn:
            part = count(conn, wanted, below=below, seconds=seconds)
        found.append(part.n)
        below = part.end
    return found


def everything(catalog: Catalog) -> list[PageRow]:
    with catalog.connect() as conn:
        return page(conn, SampleFilter(bar=BAR), n=10 * N).rows


def fits(row: PageRow, wanted: SampleFilter, in_round: set[str]) -> bool:
    label = row.label or NONE
    return (
        (wanted.label is None or label == wanted.label)
        and (wanted.source is None or row.source == wanted.source)
        and (wanted.split is None or (row.split or NONE) == wanted.split)
        and (wanted.round is None or row.id in in_round)
        and (wanted.agreement is None or (row.agreement is not None and row.agreement <= wanted.agreement))
        and (not wanted.duplicates or row.duplicate_of is not None)
        and (wanted.unfit is None or (row.unfit is not None if wanted.unfit == ANY else row.unfit == wanted.unfit))
        and (wanted.answered is None or (row.votes > 0) == wanted.answered)
    )


@pytest.mark.parametrize("wanted", FILTERS, ids=str)
def test_pages_hold_each_sample_that_fits_once_and_the_count_says_how_many(
    filled: Catalog, wanted: SampleFilter, monkeypatch: pytest.MonkeyPatch
) -> None:
    with filled.connect() as conn:
        proposed = {s.sample_id for s in rounds.suggestions(conn, round_number=wanted.round)} if wanted.round else set()
    expected = [row.id for row in everything(filled) if fits(row, wanted, proposed)]
    assert [row.id for row in itertools.chain(*pages(filled, wanted, "newest"))] == expected
    assert counts(filled, wanted) == [len(expected)]
    monkeypatch.setattr(sample_pages, "_FIRST", 5)
    monkeypatch.setattr(sample_pages, "_LONGEST", 9)
    assert [row.id for row in itertools.chain(*pages(filled, wanted, "newest"))] == expected
    assert counts(filled, wanted) == [len(expected)]


def test_a_search_whose_time_is_over_says_where_it_goes_on(filled: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample_pages, "_FIRST", 5)
    monkeypatch.setattr(sample_pages, "_LONGEST", 9)
    rare = SampleFilter(source="camera", split="test", label="fear")
    expected = [row.id for row in everything(filled) if fits(row, rare, set())]
    found = list(pages(filled, rare, "newest", seconds=0.0))
    assert [row.id for row in itertools.chain(*found)] == expected
    assert len(found) == N // 5, "each search looks through one range of keys"
    parts = counts(filled, rare, seconds=0.0)
    assert sum(parts) == len(expected) and len(parts) > 5


def test_a_search_says_how_many_it_looked_through(filled: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample_pages, "_FIRST", 5)
    monkeypatch.setattr(sample_pages, "_LONGEST", 9)
    nowhere = SampleFilter(source="nowhere")
    looked, below, after, seen = 0, None, None, 0
    with filled.connect() as conn:
        while True:
            part = count(conn, nowhere, below=below, seconds=0.0)
            looked, below = looked + part.looked, part.end
            if below is None:
                break
        while True:
            found = page(conn, nowhere, after=after, seconds=0.0)
            seen, after = seen + found.looked, found.end
            if after is None:
                break
    assert looked == seen == N


def test_samples_that_were_taken_out_are_on_no_page(filled: Catalog) -> None:
    gone = [pk for pk in range(1, N + 1) if pk % 11 == 3]
    there = everything(filled)
    assert len(there) == N - len(gone)
    assert not {row.pk for row in there} & set(gone)
    assert [row.pk for row in there] == sorted((row.pk for row in there), reverse=True)


@pytest.mark.parametrize(
    "wanted",
    [SampleFilter(), SampleFilter(label="fear"), SampleFilter(split="train"), SampleFilter(source="nowhere")],
    ids=str,
)
def test_the_least_agreed_upon_come_first_and_equals_are_not_lost_between_pages(
    filled: Catalog, wanted: SampleFilter, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [row for row in everything(filled) if row.label is not None and fits(row, wanted, set())]
    expected = [row.id for row in sorted(rows, key=lambda row: (row.agreement, row.pk))]
    assert len(expected) > PAGE or wanted.source is not None
    assert [row.id for row in itertools.chain(*pages(filled, wanted, "disagreement"))] == expected
    monkeypatch.setattr(sample_pages, "_FIRST", 4)
    found = list(pages(filled, wanted, "disagreement", seconds=0.0))
    assert [row.id for row in itertools.chain(*found)] == expected
    assert len(found) > 10, "each search looks through a stretch of the order"


def test_a_round_is_shown_as_it_was_ranked(filled: Catalog) -> None:
    with filled.connect() as conn:
        there = {row.id for row in everything(filled)}
        expected = [s.sample_id for s in rounds.suggestions(conn, round_number=2) if s.sample_id in there]
    assert [row.id for row in itertools.chain(*pages(filled, SampleFilter(round=2), "rank"))] == expected
    with filled.connect() as conn:
        assert page(conn, SampleFilter(), order="rank").rows == []


def test_a_list_keeps_its_order_and_loses_what_does_not_fit(filled: Catalog) -> None:
    ids = [name(i) for i in (40, 2, 41, 7, 500)]
    there = {row.id: row for row in everything(filled)}
    with filled.connect() as conn:
        assert [row.id for row in of_ids(conn, ids, SampleFilter())] == [each for each in ids if each in there]
        camera = [each for each in ids if each in there and there[each].source == "camera"]
        assert [row.id for row in of_ids(conn, ids, SampleFilter(source="camera"))] == camera


def test_before_the_first_labels_every_sample_is_without_one(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        samples.add(tx, [Sample(id=name(1), media="m")])
    with catalog.connect() as conn:
        assert [row.label for row in page(conn, SampleFilter(label=NONE)).rows] == [None]
        for wanted in (SampleFilter(label="fear"), SampleFilter(agreement=1.0)):
            assert (page(conn, wanted), count(conn, wanted)) == (FoundPage(rows=[], end=None), PartCount(0, None))
        assert page(conn, SampleFilter(), order="disagreement").rows == []


def test_what_is_below_the_bar_says_why(filled: Catalog) -> None:
    reasons = {row.unfit for row in everything(filled)}
    assert reasons == {None, fitness.FACELESS, fitness.BLURRED, fitness.SMALL}
    with filled.connect() as conn:
        assert {row.unfit for row in page(conn, SampleFilter(), n=N).rows} == {None}
