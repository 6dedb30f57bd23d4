"""One contract for every registered strategy, plugins included."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from emolab.active_learning.selection.pool import Pool
from emolab.active_learning.selection.select import select
from emolab.active_learning.strategies import needed
from emolab.errors import DataError, EmolabError, UnknownName
from emolab.plugins import STRATEGIES

CLASSES = ("neutral", "happiness", "surprise", "sadness")


def make_pool(n: int = 120, *, seed: int = 0, **columns: Any) -> Pool:
    """A pool with labelled, pending, excluded and duplicate samples among ordinary ones."""
    rng = np.random.default_rng(seed)
    state = rng.integers(0, 10, n)
    duplicate = np.arange(n)
    duplicate[rng.integers(0, n, n // 6)] = rng.integers(0, n, n // 6)
    duplicate = duplicate[duplicate]  # whoever stands for a group stands for itself
    for row in np.unique(duplicate):
        duplicate[row] = row
    given_columns: dict[str, Any] = {
        "samples": [f"{value:016x}" for value in rng.choice(2**40, n, replace=False)],
        "labelled": state == 0,
        "pending": state == 1,
        "excluded": state == 2,
        "duplicate": duplicate,
        "votes": (state == 0).astype(np.int32),
        "group": rng.integers(-1, 5, n).astype(np.int32),
        "probs": rng.dirichlet(np.full(len(CLASSES), 0.7), n).astype(np.float32),
        "embeddings": rng.normal(size=(n, 16)).astype(np.float16),
        "draws": rng.dirichlet(np.full(len(CLASSES), 0.7), (3, n)).astype(np.float32),
        "classes": CLASSES,
    }
    return Pool(**{**given_columns, **columns})


def shuffled(pool: Pool, seed: int) -> Pool:
    """The same samples with their rows in another order."""
    order = np.random.default_rng(seed).permutation(len(pool))
    place = np.empty(len(pool), dtype=np.int64)
    place[order] = np.arange(len(pool))
    columns = ("labelled", "pending", "excluded", "votes", "group", "probs", "embeddings")
    moved = {name: None if getattr(pool, name) is None else getattr(pool, name)[order] for name in columns}
    assert pool.duplicate is not None
    return Pool(
        samples=[pool.samples[row] for row in order],
        duplicate=place[pool.duplicate[order]],
        draws=None if pool.draws is None else pool.draws[:, order],
        classes=pool.classes,
        **moved,
    )


def choose(pool: Pool, n: int, strategy: str, seed: int = 0) -> list[str]:
    return select(pool, n, strategy=strategy, rng=np.random.default_rng(seed)).samples


@pytest.fixture(params=STRATEGIES.names())
def strategy(request: pytest.FixtureRequest) -> str:
    """Every registered strategy in turn."""
    return str(request.param)


@pytest.mark.parametrize("n", [1, 7, 40])
def test_right_count_no_repeats_and_only_candidates(strategy: str, n: int) -> None:
    pool = make_pool()
    batch = select(pool, n, strategy=strategy, rng=np.random.default_rng(1))
    assert len(batch.samples) == len(set(batch.samples)) == len(batch.reasons) == len(batch.scores) == n
    assert all(batch.reasons)
    assert np.isfinite(batch.scores).all()
    rows = batch.rows
    assert pool.excluded is not None
    assert not (pool.labelled[rows] | pool.pending[rows] | pool.excluded[rows]).any()


def test_copies_of_asked_samples_and_of_one_another_are_never_chosen(strategy: str) -> None:
    pool = make_pool(300, seed=3)
    assert pool.duplicate is not None
    batch = select(pool, len(pool.candidates), strategy=strategy, rng=np.random.default_rng(1))
    groups = pool.duplicate[batch.rows]
    assert len(np.unique(groups)) == len(groups)
    assert not np.isin(groups, pool.duplicate[pool.labelled | pool.pending]).any()


def test_everything_left_can_be_chosen_and_one_more_is_a_clear_error(strategy: str) -> None:
    pool = make_pool()
    free = len(pool.candidates)
    assert sorted(choose(pool, free, strategy)) == sorted(pool.samples[row] for row in pool.candidates)
    with pytest.raises(
        DataError, match=rf"Only {free} of 120 samples can be suggested, {free + 1} were asked for"
    ) as e:
        choose(pool, free + 1, strategy)
    assert "are labelled" in e.value.message and "are duplicates" in e.value.message
    assert e.value.hint is not None and f"-n {free}" in e.value.hint


def test_same_seed_same_answer(strategy: str) -> None:
    assert choose(make_pool(), 20, strategy, seed=5) == choose(make_pool(), 20, strategy, seed=5)


@pytest.mark.parametrize("n", [5, 60])
def test_the_order_of_rows_does_not_matter(strategy: str, n: int) -> None:
    pool = make_pool(200)
    wanted = choose(pool, n, strategy)
    for seed in range(3):
        assert choose(shuffled(pool, seed), n, strategy) == wanted


def test_the_size_of_chunks_does_not_matter(strategy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = make_pool(700)
    wanted = choose(pool, 40, strategy)
    ours = [name for name in sys.modules if name.startswith("emolab.active_learning")]
    chunked = [name for name in ours if hasattr(sys.modules[name], "CHUNK")]
    assert "emolab.active_learning.selection.space" in chunked or "embeddings" not in needed(STRATEGIES.load(strategy))
    for name in chunked:
        monkeypatch.setattr(f"{name}.CHUNK", 37)
    assert choose(pool, 40, strategy) == wanted


@pytest.mark.slow
def test_the_number_of_threads_does_not_matter(strategy: str) -> None:
    rng = np.random.default_rng(0)
    pool = make_pool(1500, embeddings=rng.normal(size=(1500, 96)).astype(np.float16))
    with threadpool_limits(1):
        wanted = choose(pool, 60, strategy)
    with threadpool_limits(2):
        assert choose(pool, 60, strategy) == wanted


def test_when_all_are_equal_the_smaller_id_comes_first(strategy: str) -> None:
    same = {"probs": np.full((120, 4), 0.25, dtype=np.float32), "embeddings": np.ones((120, 16), dtype=np.float32)}
    pool = make_pool(draws=np.full((3, 120, 4), 0.25, dtype=np.float32), **same)
    chosen = choose(pool, 10, strategy)
    assert choose(shuffled(pool, 1), 10, strategy) == chosen
    if strategy in ("least_confidence", "margin", "entropy", "coreset", "bald", "bait"):
        assert chosen == [pool.samples[row] for row in pool.candidates[:10]]


def test_one_class(strategy: str) -> None:
    pool = make_pool(probs=np.ones((120, 1)), draws=np.ones((3, 120, 1)), classes=("neutral",))
    assert len(choose(pool, 10, strategy)) == 10


def test_certain_predictions_and_zero_embeddings(strategy: str) -> None:
    probs = np.zeros((120, 4), dtype=np.float32)
    probs[:, 2] = 1
    sure = make_pool(probs=probs, embeddings=np.zeros((120, 16)), draws=np.stack([probs] * 3))
    assert len(choose(sure, 10, strategy)) == 10


def test_samples_without_a_prediction_come_last(strategy: str) -> None:
    pool = make_pool()
    assert pool.probs is not None and pool.embeddings is not None and pool.draws is not None
    blind = pool.candidates[::2]
    probs, embeddings, draws = pool.probs.copy(), pool.embeddings.copy(), pool.draws.copy()
    probs[blind], embeddings[blind], draws[:, blind] = np.nan, np.nan, np.nan
    broken = make_pool(probs=probs, embeddings=embeddings, draws=draws)
    chosen = select(broken, len(broken.candidates), strategy=strategy, rng=np.random.default_rng(0))
    assert np.isfinite(chosen.scores).all()
    if needed(STRATEGIES.load(strategy)) and strategy != "auto":  # whose random tenth may be anybody
        assert set(chosen.rows[-len(blind) :]) == set(blind)
        assert "the model gave no" in chosen.reasons[-1]


def test_nothing_but_nan_is_a_clear_error(strategy: str) -> None:
    nan = {"probs": np.full((120, 4), np.nan), "embeddings": np.full((120, 16), np.nan)}
    pool = make_pool(draws=np.full((3, 120, 4), np.nan), **nan)
    if not needed(STRATEGIES.load(strategy)):
        assert len(choose(pool, 5, strategy)) == 5
        return
    with pytest.raises(DataError, match=r"all \d+ candidates have NaN"):
        choose(pool, 5, strategy)


def test_without_a_model_the_message_says_what_to_do(strategy: str) -> None:
    pool = make_pool(probs=None, embeddings=None, draws=None)
    if not needed(STRATEGIES.load(strategy)):
        assert select(pool, 5, strategy=strategy, rng=np.random.default_rng(0)).composition is None
        return
    with pytest.raises(DataError, match="needs a model's") as error:
        choose(pool, 5, strategy)
    assert error.value.hint is not None and "emolab train" in error.value.hint


def test_an_empty_pool_and_an_exhausted_one_are_clear_errors(strategy: str) -> None:
    nothing = np.zeros(0, dtype=bool)
    empty = Pool(samples=[], labelled=nothing, pending=nothing, probs=np.zeros((0, 4)), embeddings=np.zeros((0, 2)))
    with pytest.raises(DataError, match="There are no samples to suggest from"):
        choose(empty, 1, strategy)
    with pytest.raises(DataError, match="None of the 120 samples can be suggested: 120 are labelled"):
        choose(make_pool(labelled=np.ones(120, dtype=bool)), 3, strategy)


@pytest.mark.parametrize("n", [0, -3])
def test_asking_for_nothing_is_an_error(strategy: str, n: int) -> None:
    with pytest.raises(DataError, match="expected 1 or more"):
        choose(make_pool(), n, strategy)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_contract_holds_for_any_pool(data: st.DataObject) -> None:
    pool = make_pool(data.draw(st.integers(1, 60)), seed=data.draw(st.integers(0, 10_000)))
    if not len(pool.candidates):
        return
    n = data.draw(st.integers(1, len(pool.candidates)))
    for name in STRATEGIES.names():
        batch = select(pool, n, strategy=name, rng=np.random.default_rng(0))
        assert len(set(batch.samples)) == n
        assert set(batch.rows) <= set(pool.candidates)
        assert batch.composition is not None
        assert batch.composition.sum() == pytest.approx(n, rel=1e-4)


def test_unknown_strategy_names_the_nearest() -> None:
    with pytest.raises(UnknownName, match=r'Unknown strategy "margn"\. Did you mean "margin"\?'):
        choose(make_pool(), 1, "margn")


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (lambda pool: (pool.candidates[:1], np.zeros(1)), "rows and"),
        (lambda pool: (np.repeat(pool.candidates[:1], 2), np.zeros(2)), "a sample twice"),
        (lambda pool: (np.flatnonzero(pool.labelled)[:2], np.zeros(2)), "a sample that may not be chosen"),
    ],
)
def test_a_plugin_that_breaks_the_contract_is_told(monkeypatch: pytest.MonkeyPatch, answer: Any, problem: str) -> None:
    monkeypatch.setattr(type(STRATEGIES), "load", lambda self, name: lambda pool, n, rng: answer(pool))
    with pytest.raises(EmolabError, match=f'The strategy "mine" returned .*{problem}'):
        choose(make_pool(), 2, "mine")


def test_a_plugin_may_answer_a_plain_tuple(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        type(STRATEGIES), "load", lambda self, name: lambda pool, n, rng: (pool.candidates[:n], np.full(n, 0.5))
    )
    batch = select(make_pool(), 2, strategy="mine", rng=np.random.default_rng(0))
    assert batch.reasons == ["mine score 0.500"] * 2
