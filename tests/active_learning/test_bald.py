"""BALD: contradiction counts, shared doubt does not; and the bootstrap that makes the draws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from emolab.active_learning.selection.draws import bootstrap_draws
from emolab.active_learning.selection.pool import Pool
from emolab.active_learning.selection.select import Selection, select
from emolab.active_learning.strategies import bald
from emolab.errors import DataError


def ask(draws: NDArray[Any], n: int) -> Selection:
    names = ["ann", "bob", "cho", "dee"]
    nobody = np.zeros(len(names), dtype=bool)
    pool = Pool(samples=names, labelled=nobody, pending=nobody, draws=draws, classes=("fear", "surprise"))
    return select(pool, n, strategy="bald", rng=np.random.default_rng(0))


DRAWS = np.array(
    [  #   ann: sure     bob: ambiguous  cho: contradiction  dee: how sure?
        [[0.9, 0.1], [0.5, 0.5], [0.95, 0.05], [0.95, 0.05]],
        [[0.9, 0.1], [0.5, 0.5], [0.05, 0.95], [0.55, 0.45]],
    ]
)


def test_contradiction_comes_first_and_shared_doubt_is_worth_nothing() -> None:
    batch = ask(DRAWS, 4)
    assert batch.samples == ["cho", "dee", "ann", "bob"]
    assert batch.scores[2:] == pytest.approx([0, 0], abs=1e-12)
    assert batch.reasons[0] == "retrained models disagree: 1 of 2 say fear, 1 of 2 say surprise"
    assert batch.reasons[1] == "retrained models all say fear, but are not equally sure"


def test_a_sample_that_one_draw_has_no_answer_for_comes_last() -> None:
    draws = DRAWS.copy()
    draws[1, 2] = np.nan
    batch = ask(draws, 4)
    assert batch.samples[-1] == "cho"
    assert batch.reasons[-1] == "the model gave no prediction for it"


@pytest.mark.parametrize("draws", [DRAWS[0], DRAWS[:0], DRAWS[:, :3]])
def test_draws_of_another_shape_are_a_clear_error(draws: NDArray[Any]) -> None:
    with pytest.raises(DataError, match=r"The pool's draws are \(.*\); expected \(t, 4, k\) with t of 1 or more\."):
        ask(draws, 1)


def test_the_size_of_chunks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = np.random.default_rng(0).dirichlet([0.5] * 3, (5, 200)).astype(np.float32)
    nobody = np.zeros(200, dtype=bool)
    pool = Pool(samples=[f"{i:03d}" for i in range(200)], labelled=nobody, pending=nobody, draws=draws)
    whole = select(pool, 50, strategy="bald", rng=np.random.default_rng(0))
    monkeypatch.setattr(bald, "CHUNK", 1)
    one_by_one = select(pool, 50, strategy="bald", rng=np.random.default_rng(0))
    assert one_by_one.samples == whole.samples
    assert one_by_one.scores.tolist() == whole.scores.tolist()


def labelled_pool(order: NDArray[np.int64] | None = None) -> Pool:
    """200 points on a line, 40 of them labelled far out on both sides, where classes 0 and 1 are."""
    rng = np.random.default_rng(1)
    place = np.linspace(-3, 3, 200)
    embeddings = np.stack([place, rng.normal(size=200)], axis=1).astype(np.float16)
    labelled = np.zeros(200, dtype=bool)
    labelled[:60:3] = labelled[-60::3] = True
    targets = np.full((200, 2), np.nan)
    targets[labelled] = np.eye(2)[(place[labelled] > 0).astype(int)]
    order = np.arange(200) if order is None else order
    return Pool(
        samples=[f"{i:03d}" for i in order],
        labelled=labelled[order],
        pending=np.zeros(200, dtype=bool),
        embeddings=embeddings[order],
        targets=targets[order],
    )


def test_bootstrap_draws_differ_where_nobody_has_looked() -> None:
    pool = labelled_pool()
    draws = bootstrap_draws(pool, np.random.default_rng(0), draws=20)
    assert draws.shape == (20, 200, 2)
    assert np.isnan(draws[:, pool.labelled]).all()
    assert draws[:, ~pool.labelled].sum(axis=2) == pytest.approx(1, abs=1e-5)
    spread = draws[:, :, 0].std(axis=0)
    far = np.flatnonzero(~pool.labelled)[[0, 1, 2, -3, -2, -1]]
    assert spread[95:105].mean() > 5 * spread[far].mean()


def test_bootstrap_draws_follow_the_generator_and_not_the_order_of_rows() -> None:
    order = np.random.default_rng(2).permutation(200)
    one = bootstrap_draws(labelled_pool(), np.random.default_rng(3))
    other = bootstrap_draws(labelled_pool(order), np.random.default_rng(3))
    assert np.array_equal(one[:, order], other, equal_nan=True)
    assert not np.array_equal(one, bootstrap_draws(labelled_pool(), np.random.default_rng(4)), equal_nan=True)


def test_too_few_labels_for_draws_are_a_clear_error() -> None:
    pool = labelled_pool()
    assert pool.targets is not None
    pool.targets[1:] = np.nan
    with pytest.raises(DataError, match="1 samples are labelled and have an embedding") as error:
        bootstrap_draws(pool, np.random.default_rng(0))
    assert error.value.hint is not None and "--strategy margin" in error.value.hint
