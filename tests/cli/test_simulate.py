"""``emolab simulate`` as a person and a script see it: a small voted data set, no workspace."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from emolab.active_learning.simulation.compare import verdicts
from emolab.active_learning.simulation.records import SimulatedRound
from emolab.active_learning.simulation.vote_costs import Votes
from emolab.cli.main import cli, run
from emolab.errors import ConfigError
from emolab.loop.label.simulation.budgets import plan_budgets
from emolab.loop.label.simulation.page import render
from emolab.loop.label.simulation.stage import alone

CLASSES = ("anger", "fear", "sadness")
Simulate = Callable[..., dict[str, object]]


def face(c: int, rng: np.random.Generator) -> Image.Image:
    """A texture whose direction is the class, at a random place and strength."""
    y, x = np.mgrid[:32, :32]
    wave = (x, y, x + y)[c] * rng.uniform(0.7, 1.1) + rng.uniform(0, 6)
    return Image.fromarray((128 + 60 * np.sin(wave) + rng.normal(0, 45, (32, 32))).clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def votes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """90 pictures, five people each, most of whom see what is there."""
    folder = tmp_path_factory.mktemp("voted")
    rng = np.random.default_rng(0)
    lines = ["path,anger,fear,sadness,unknown"]
    for i in range(90):
        face(i % 3, rng).save(folder / f"{i}.png")
        said = rng.multinomial(5, np.eye(4)[i % 3] * 0.7 + 0.075)
        lines.append(f"{i}.png," + ",".join(str(n) for n in said))
    (folder / "votes.csv").write_text("\n".join(lines) + "\n")
    return folder / "votes.csv"


READ = ("-o", "votes=anger,fear,sadness,unknown", "--set", "project.classes=anger,fear,sadness")
SMALL = (*READ, "--seeds", "2", "--start", "9", "--budget", "45", "--rounds", "2", "--features", "16",
         "--set", "training.backbone=hog")  # fmt: skip


@pytest.fixture
def simulate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Simulate:
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> dict[str, object]:
        done = CliRunner().invoke(cli, ["simulate", *arguments, "--json"], catch_exceptions=False)
        found: dict[str, object] = json.loads(done.stdout)
        return found

    return call


def failed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(["simulate", *arguments]) == 1
    return capsys.readouterr().err


@pytest.mark.slow
def test_a_voted_table_is_replayed_and_reported(simulate: Simulate, votes: Path, tmp_path: Path) -> None:
    found = simulate(f"csv:{votes}", "--strategies", "margin,coreset", *SMALL)
    strategies = found["strategies"]
    assert isinstance(strategies, list)
    assert [one["strategy"] for one in strategies] == ["random", "margin", "coreset"]
    assert found["budgets"] == [9.0, 20.0, 45.0]
    assert found["classes"] == list(CLASSES)
    assert isinstance(found["n_pool"], int)
    assert isinstance(found["n_judge"], int)
    assert 60 <= found["n_pool"] <= 70
    assert 15 <= found["n_judge"] <= 25
    assert f"of these the {found['n_judge']} that are not asked about" in str(found["judge"])
    assert all(0 < one["area"] <= 1 and one["seeds"] == 2 for one in strategies)
    page = (tmp_path / "simulation" / "report.html").read_text(encoding="utf-8")
    assert "What choosing would have saved" in page
    assert "coreset" in page
    drawn = ElementTree.parse(tmp_path / "simulation" / "curves.svg").getroot()
    said = {text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")}
    assert {"random", "margin", "coreset", "votes", "20"} <= said
    lines = [json.loads(x) for x in (tmp_path / "simulation" / "rounds" / "margin-1.jsonl").read_text().splitlines()]
    assert [line["votes"] for line in lines] == [9, 20, 45]


@pytest.mark.slow
def test_adaptive_votes_of_a_simulated_team_with_prices(simulate: Simulate, votes: Path) -> None:
    found = simulate(
        f"csv:{votes}", *SMALL, "--votes", "1..3", "--price", "1,0.5", "--oracle", "team", "--labels", "dawid_skene"
    )
    assert (found["votes"], found["price"], found["oracle"]) == ("1..3", [1.0, 0.5], "team")


@pytest.mark.slow
def test_strategies_and_seeds_may_be_added_and_other_terms_need_another_folder(
    simulate: Simulate, votes: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    simulate(f"csv:{votes}", "--strategies", "margin", "--no-ceiling", *SMALL)
    kept = (tmp_path / "simulation" / "rounds" / "margin-1.jsonl").read_bytes()
    more = simulate(f"csv:{votes}", "--strategies", "margin,entropy", "--no-ceiling", *SMALL, "--seeds", "3")
    assert (more["seeds"], more["everything"]) == (3, None)
    assert (tmp_path / "simulation" / "rounds" / "margin-1.jsonl").read_bytes() == kept
    said = failed(capsys, f"csv:{votes}", *SMALL, "--votes", "2")
    assert "holds a simulation that differs in votes" in said
    assert "--out" in said


@pytest.mark.slow
def test_a_single_seed_has_no_errors_and_no_intervals(
    votes: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["simulate", f"csv:{votes}", *SMALL, "--seeds", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    margin = found["strategies"][1]
    assert (margin["error"], margin["error_f1"], margin["ratio"]["high"]) == (None, None, None)
    assert margin["shares"]["0.90"]["low"] is None
    assert run(["simulate", f"csv:{votes}", *SMALL, "--seeds", "1"]) == 0
    said = capsys.readouterr().err
    page = (tmp_path / "simulation" / "report.html").read_text(encoding="utf-8")
    for text in (said, page):
        assert "inf" not in text.replace("information", "")
    assert "too few seeds for p to show any difference: --seeds 6 or more" in said
    assert "With fewer than 6 seeds p cannot show any difference." in page
    assert "1 campaign per strategy on" in page


def test_the_page_says_so_when_nothing_beats_random(tmp_path: Path) -> None:
    about = {"classes": CLASSES, "seeds": 6, "dataset": "d", "n_pool": 9, "n_judge": 9, "everything": None,
             "budgets": [1.0, 2.0], "price": [1, 1], "mode": "finetune", "backbone": "tiny", "weights": "none",
             "judge": "j", "votes": "1", "oracle": "counted", "labels": "soft", "near_copies_of_judged": 1}  # fmt: skip
    shares = [0.5, 0.25, 0.25]
    rounds = [
        SimulatedRound(strategy=name, seed=seed, number=number, rows=[1], answers=[1], cost=number + 1.0,
              votes=number + 1, samples=number + 1, scores={"accuracy": right, "macro_f1": right},
              composition=shares, doubt=0.2, select_s=0.0, train_s=0.0)
        for name, right in (("random", 0.5), ("margin", 0.4)) for seed in range(6) for number in (0, 1)
    ]  # fmt: skip
    page = render(about, verdicts(rounds, [1.0, 2.0]), rounds)
    assert "no strategy is above it" in page
    assert "1 near copy of a judged sample" in page
    assert page.count("50.0</td>") >= 2, "shares of the classes among what each of them asked about"


@pytest.mark.slow
def test_the_whole_network_learns_in_every_round(simulate: Simulate, votes: Path) -> None:
    found = simulate(
        f"csv:{votes}", *READ, "--mode", "finetune", "--no-ceiling", "--seeds", "1", "--start", "9", "--budget", "18",
        "--rounds", "1", "--set", "training.backbone=tiny",
        "--set", "training.size=16", "--set", "training.epochs=1", "--set", "training.threads=1",
    )  # fmt: skip
    strategies = found["strategies"]
    assert isinstance(strategies, list)
    assert [one["strategy"] for one in strategies] == ["random", "margin"]
    assert found["features"] is None


@pytest.mark.slow
def test_errors_say_what_to_type(votes: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    base = (f"csv:{votes}", "--out", str(tmp_path / "o"), *SMALL)
    assert 'Unknown strategy "marign". Did you mean "margin"?' in failed(capsys, *base, "--strategies", "marign")
    said = failed(capsys, *base, "--budget", "4000")
    assert "The budget is 4,000, but the pool has" in said
    assert "--budget 6" in said
    assert "have fewer" in failed(capsys, *base, "--votes", "6")
    assert '"1-5"; expected a number such as "3"' in failed(capsys, *base, "--votes", "1-5")
    assert '--votes is "0"; expected LOW..HIGH' in failed(capsys, *base, "--votes", "0")
    assert "expected positive numbers" in failed(capsys, *base, "--price", "nan,1")
    assert '"cheap" is no price' in failed(capsys, *base, "--price", "cheap")
    assert 'Unknown oracle "me"' in failed(capsys, *base, "--oracle", "me")
    assert "is not larger than the start" in failed(capsys, *base, "--budget", "9")
    assert 'Unknown reader "cvs". Did you mean "csv"?' in failed(capsys, f"cvs:{votes}")
    assert "has a vote for joy, calm" in failed(capsys, *base, "--set", "project.classes=joy,calm")
    only = tmp_path / "only.csv"
    header, *rows = votes.read_text().splitlines()
    alike = [f"{votes.parent / row.partition(',')[0]},0,5,0,0" for row in rows[:12]]
    only.write_text("\n".join([header, *alike]) + "\n")
    said = failed(
        capsys, f"csv:{only}", "--judge", f"csv:{votes}", *SMALL, "--out", str(tmp_path / "p"), "--budget", "10"
    )
    assert "The votes name 1 of 3 classes" in said


def test_a_network_that_has_seen_the_votes_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    said = failed(capsys, "ferplus:nowhere.zip", "--set", "project.classes=anger,fear")
    assert "face48 was trained on the votes of FER+" in said
    assert "training.backbone=mobilenet_v2" in said


def test_a_folder_is_played_in_by_one_process_at_a_time(
    votes: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with alone(tmp_path / "o"):
        said = failed(capsys, f"csv:{votes}", *SMALL, "--out", str(tmp_path / "o"))
    assert "Another process plays a simulation in" in said
    assert "--out" in said


@pytest.mark.slow
def test_random_weights_are_no_features(votes: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    said = failed(capsys, f"csv:{votes}", *SMALL, "--set", "training.backbone=tiny", "--out", str(tmp_path / "o"))
    assert "random weights of tiny" in said
    assert "--mode finetune" in said


def test_budgets_grow_by_a_factor_or_by_equal_steps() -> None:
    one, three = Votes.parse("1"), Votes.parse("3")
    free = {"start": None, "budget": None, "rounds": 4, "per_round": None}
    assert plan_budgets(one, k=8, most=9000.0, **free) == [80, 160, 320, 640, 1280]  # type: ignore[arg-type]
    assert plan_budgets(three, k=8, most=9000.0, **free)[::4] == [240, 3840]  # type: ignore[arg-type]
    assert plan_budgets(one, k=8, most=1000.0, **free)[-1] == 500, "half of the pool"  # type: ignore[arg-type]
    small = "The pool is worth 22 votes; half of it is not larger than the start of 80"
    with pytest.raises(ConfigError, match=small) as got:
        plan_budgets(one, k=8, most=22.0, **free)  # type: ignore[arg-type]
    assert "Lower --start, for example to 2" in str(got.value)
    assert plan_budgets(one, k=8, most=99.0, start=10, budget=35, rounds=9, per_round=10) == [10, 20, 30, 35]
    with pytest.raises(ConfigError, match="The budget of 30 is not larger than the start of 30"):
        plan_budgets(one, k=8, most=99.0, start=30, budget=30, rounds=2, per_round=None)


def in_two_jobs(votes: Path, folder: Path) -> list[str]:
    """The command for a simulation of a few rounds into ``folder``."""
    return [
        sys.executable, "-m", "emolab", "simulate", f"csv:{votes}", "--strategies", "margin,coreset", "--jobs", "2",
        *SMALL, "--seeds", "4", "--out", str(folder), "--json",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def undisturbed(votes: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What it says when nothing stops it."""
    command = in_two_jobs(votes, tmp_path_factory.mktemp("undisturbed"))
    return timeless(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_simulation_goes_on_with_the_same_result(
    votes: Path, undisturbed: dict[str, object], tmp_path: Path, how: signal.Signals
) -> None:
    stopped = tmp_path / "stopped"
    with subprocess.Popen(
        in_two_jobs(votes, stopped), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        deadline = time.monotonic() + 120
        while len(list(stopped.glob("rounds/*.jsonl"))) < 4:
            assert time.monotonic() < deadline
            assert process.poll() is None, "it ended before it could be stopped"
            time.sleep(0.01)
        os.killpg(process.pid, how)
        _, said = process.communicate(timeout=60)
    if how is signal.SIGINT:
        assert process.returncode == 130
        assert "run the same command again" in said
    again = subprocess.run(in_two_jobs(votes, stopped), capture_output=True, text=True, check=True)
    assert timeless(again.stdout) == undisturbed


def timeless(text: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(text)
    strategies = found["strategies"]
    assert isinstance(strategies, list)
    for one in strategies:
        del one["select_s"]
    del found["report"]
    return found


@pytest.mark.slow
def test_rounds_are_left_half_way_in_both_orders(
    simulate: Simulate, votes: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    found = simulate(f"csv:{votes}", "--strategies", "margin", "--no-ceiling", *SMALL, "--relearn", "3")
    orders = found["orders"]
    assert isinstance(orders, list) and found["relearn"] == 3
    assert [(one["strategy"], one["share"]) for one in orders] == [
        (name, share) for name in ("random", "margin") for share in (0.25, 0.5, 0.75)
    ]
    assert all(one["low"] <= one["gain"] <= one["high"] and one["rounds"] == 2 for one in orders)
    assert "If the team leaves a round half-way" in (tmp_path / "simulation" / "report.html").read_text("utf-8")
    assert run(["simulate", f"csv:{votes}", "--strategies", "margin", "--no-ceiling", *SMALL, "--relearn", "3"]) == 0
    assert "A round left half-way" in capsys.readouterr().err
    assert "differs in relearn" in failed(capsys, f"csv:{votes}", "--strategies", "margin", *SMALL)
