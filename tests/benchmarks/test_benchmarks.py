"""The benchmarks' common ground: fair turns, honest tables, and one way to call them all."""

from __future__ import annotations

import ast
import doctest
import json
from pathlib import Path

import pytest

from benchmarks import harness, turns
from benchmarks.harness import Result

FOLDER = Path(harness.__file__).parent
SHARED = {"dealing", "duplicates_hash", "ferplus", "harness", "turns"}
BENCHMARKS = sorted({path.stem for path in FOLDER.glob("[a-z]*.py")} - SHARED)


def test_the_examples_of_the_harness_hold() -> None:
    assert doctest.testmod(harness).failed == 0


def test_contestants_take_turns_in_an_order_that_reverses() -> None:
    calls: list[str] = []
    taken = harness.interleave({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 2, warm_up=1)
    assert calls == ["a", "b", "a", "b", "b", "a"]
    assert [len(taken["a"]), len(taken["b"])] == [2, 2]


#: A contestant that counts its turns; it forks off nothing and prints a line of its own.
COUNTING = """
import sys
from benchmarks.turns import serve
done = []
def work():
    done.append(sum(range(100_000)))
    print("a library talks")
serve(work, lambda: print(f"{len(done)} turns", file=sys.stderr, flush=True))
"""


def test_contestants_in_processes_of_their_own_take_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "counting.py").write_text(COUNTING)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{FOLDER.parent}")
    with turns.contestants({"a": ("counting", []), "b": ("counting", [])}) as playing:
        cpu, clock = turns.take_turns(playing, 3, warm_up=1)
    assert {name: len(seconds) for name, seconds in cpu.items()} == {"a": 3, "b": 3}
    assert min(cpu["a"] + clock["b"]) > 0
    assert capfd.readouterr().err.count("4 turns") == 2
    assert all(contestant.process.returncode == 0 for contestant in playing.values())


def test_a_contestant_that_dies_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dying.py").write_text("import sys; sys.stdin.readline(); sys.exit(3)")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{FOLDER.parent}")
    with turns.contestants({"a": ("dying", [])}) as playing, pytest.raises(RuntimeError, match="ended in the middle"):
        turns.take_turns(playing, 1)


def test_a_ratio_is_the_median_of_pairs_with_its_range() -> None:
    assert harness.ratio({"a": [2.0, 6.0, 4.0], "b": [1.0, 2.0, 1.0]}, "a", "b") == (3.0, (2.0, 4.0))


def test_the_table_leaves_out_columns_nobody_fills() -> None:
    shown = harness.table([Result("push", 1234.5, "ms"), Result("pull", 0.5, "ms", note="nothing new")])
    assert shown.splitlines() == [
        "what  value  unit  note",
        "----  -----  ----  -----------",
        "push  1,234  ms",
        "pull    0.5  ms    nothing new",
    ]


def run(quick: bool) -> list[Result]:
    return [Result("turns", 3 if quick else 30, "turns", n=2, seeds=5, spread=(1, 9))]


def test_json_names_the_benchmark_and_its_results(capsys: pytest.CaptureFixture[str]) -> None:
    harness.main(run, ["--quick", "--json"])
    said = json.loads(capsys.readouterr().out)
    assert (said["benchmark"], said["quick"]) == ("test_benchmarks", True)
    assert said["results"] == [
        {
            "name": "turns",
            "value": 3,
            "unit": "turns",
            "n": 2,
            "seeds": 5,
            "spread": [1, 9],
            "note": "quick: proves nothing",
        }
    ]


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_says_what_it_measures_and_uses_the_harness(name: str) -> None:
    tree = ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), f"benchmarks/{name}.py has no docstring"
    assert "run" in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert "benchmarks.harness" in {node.module for node in tree.body if isinstance(node, ast.ImportFrom)}
