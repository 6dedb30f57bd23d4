"""The three examples of CONTRIBUTING.md do what the page says."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from emolab.active_learning.selection.pool import Pool
from emolab.records import VoteTable
from tests.conftest import longest_first, shuffle
from tests.support.paths import ROOT

PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def example(kind: str, name: str) -> Callable[..., Any]:
    found = re.search(rf"<!-- example: {kind} -->\n```python\n(.*?)```", PAGE, flags=re.S)
    assert found, f"CONTRIBUTING.md has no example of a {kind}"
    space: dict[str, Any] = {"__name__": f"example_{kind}"}
    exec(compile(found[1], f"CONTRIBUTING.md ({kind})", "exec"), space)
    function: Callable[..., Any] = space[name]
    return function


def test_the_strategy_takes_the_least_sure_candidates() -> None:
    pool = Pool(
        samples=["a", "b", "c", "d"],
        labelled=np.array([False, False, False, True]),
        pending=np.zeros(4, dtype=bool),
        probs=np.array([[0.9, 0.1], [0.55, 0.45], [0.7, 0.3], [0.5, 0.5]]),
    )
    picks = example("strategy", "select")(pool, 2, np.random.default_rng(0))
    assert picks.rows.tolist() == [1, 2]
    assert np.allclose(picks.scores, [0.45, 0.3])


def test_the_aggregator_returns_distributions() -> None:
    votes = VoteTable(
        samples=["a", "b"],
        annotators=["ann", "bob"],
        classes=("happiness", "sadness"),
        sample=np.array([0, 0, 0], dtype=np.int32),
        annotator=np.array([0, 1, 1], dtype=np.int32),
        label=np.array([0, 0, 1], dtype=np.int16),
        weight=np.ones(3, dtype=np.float32),
    )
    probs = example("aggregator", "aggregate")(votes)
    assert np.allclose(probs, [[0.8, 0.2], [0.5, 0.5]])


def test_the_reader_streams_one_record_per_image(tmp_path: Path) -> None:
    for name in ("happy_1.jpg", "sad_2.jpg", "notes.txt"):
        (tmp_path / name).touch()
    records = list(example("reader", "read")(tmp_path, {}))
    assert [(record.key, dict(record.votes)) for record in records] == [
        ("happy_1.jpg", {"happy": 1}),
        ("sad_2.jpg", {"sad": 1}),
    ]


def test_the_picture_of_the_import_rule_names_every_module_of_the_core() -> None:
    from tests.test_layers import CORE, ROOMS

    picture = PAGE.partition("## Who may import whom")[2].partition("## ")[0]
    assert [name for name in (*sorted(CORE), *sorted(ROOMS - {"active_learning"})) if name not in picture] == []


def test_a_seed_gives_all_tests_one_order_and_leaves_files_whole() -> None:
    tests = [SimpleNamespace(path=path, name=name) for path in "abcdef" for name in range(5)]

    def order(seed: int) -> list[Any]:
        shuffled: list[Any] = list(tests)
        shuffle(shuffled, seed)
        return shuffled

    assert order(1) == order(1) != order(2)
    assert sorted((item.path, item.name) for item in order(1)) == [(item.path, item.name) for item in tests]
    assert [path for path, _ in groupby(order(1), lambda item: item.path)] == list(
        dict.fromkeys(item.path for item in order(1))
    )
    assert [item.name for item in order(1)] != [item.name for item in tests]


def test_files_that_need_a_server_begin_early_and_quick_ones_end_and_all_stay_whole() -> None:
    kinds = {"a": "", "b": "slow", "c": "labelstudio", "d": "slow", "e": "browser", "f": ""}

    def case(path: str, name: int) -> Any:
        return SimpleNamespace(path=path, name=name, get_closest_marker=lambda name: name == kinds[path])

    tests = [case(path, name) for path in kinds for name in range(5)]
    tests.append(case("e", 5))
    ordered = list(tests)
    longest_first(ordered)
    assert [path for path, _ in groupby(ordered, lambda item: item.path)] == ["b", "e", "c", "d", "a", "f"]
    assert [item.name for item in ordered if item.path == "e"] == [0, 1, 2, 3, 4, 5]
    assert sorted(ordered, key=id) == sorted(tests, key=id)
