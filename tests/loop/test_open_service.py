"""How a model is opened to be served."""

from __future__ import annotations

import os

import pytest

from emolab.loop.operate import serve


@pytest.mark.parametrize(
    ("cores", "threads", "expected"), [(2, None, 2), (2, 2, 2), (2, 1, 1), (8, 4, 1), (8, 9, 2), (1, None, 1)]
)
def test_two_batches_at_once_only_where_the_model_may_have_every_core_of_several(
    monkeypatch: pytest.MonkeyPatch, cores: int, threads: int | None, expected: int
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    assert serve._at_once(threads) == expected
