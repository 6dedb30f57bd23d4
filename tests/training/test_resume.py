"""A run that was killed, however often and wherever, ends with the weights of one that was not."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from emolab.training.fitting import fit, tuning
from emolab.training.fitting.tuning import Choice
from emolab.training.runs import state
from emolab.training.runs.recipes import Plan
from tests.support.learnable import problem, quick
from tests.support.paths import ROOT

#: Trains in ``folder`` by the plan in argv, a state after every step, and writes the final weights beside it.
PROGRAM = """
import json, sys
from pathlib import Path
from safetensors.torch import save_file
from emolab.training.fitting import fit
from emolab.training.runs import state
from emolab.training.runs.recipes import Plan
from tests.support.learnable import problem
state.SAVE_EVERY = float(sys.argv[3])
folder = Path(sys.argv[1])
pixels, data = problem()
print("ready", flush=True)
fitted = fit.fit(pixels, data, Plan(**json.loads(sys.argv[2])), folder)
save_file(fitted.weights, folder.parent / "final.part")
(folder.parent / "final.part").rename(folder.parent / "final.safetensors")
"""


def start(folder: Path, plan: Plan, *, every: float, program: str) -> subprocess.Popen[str]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-c", program, str(folder), json.dumps(asdict(plan)), str(every)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [{"epochs": 4, "head_epochs": 1}, {"epochs": 4, "optimizer": "sgd", "lr": 0.02, "average": 0.0, "patience": 2},
     {"epochs": 3, "precision": "bfloat16", "dropout": 0.5}],
)  # fmt: skip
def test_stopping_after_any_step_changes_nothing(tmp_path: Path, settings: dict[str, object]) -> None:
    """In one process: stop after every third step by an exception, go on from the state on disk."""
    pixels, data = problem()
    plan = quick(**settings)
    whole = fit.fit(pixels, data, plan, tmp_path / "whole")
    pieces = in_pieces(plan, tmp_path / "pieces")
    assert same(whole.weights, pieces.weights)
    assert [row["train_loss"] for row in whole.history] == [row["train_loss"] for row in pieces.history]


class Stop(Exception):
    """Raised in the middle of a run."""


class Impatient(fit.Progress):
    """Stops a run when it has taken three steps."""

    def task(self, description: str, total: int | None = None, *, unit: str = "") -> fit.Task:
        class Task(fit.Task):
            left = 3

            def advance(self, n: int = 1) -> None:
                self.left -= 1
                if self.left < 0:
                    raise Stop

        return Task()


def in_pieces(plan: Plan, folder: Path) -> fit.Fitted:
    """The end of a run that is stopped again and again, and goes on from the state on disk."""
    pixels, data = problem()
    before, state.SAVE_EVERY = state.SAVE_EVERY, -1.0
    try:
        for _ in range(100):
            with contextlib.suppress(Stop):
                return fit.fit(pixels, data, plan, folder, progress=Impatient())
    finally:
        state.SAVE_EVERY = before
    raise AssertionError("100 pieces did not end the run")


@pytest.mark.slow
def test_a_stopped_run_goes_on_in_the_precision_it_began_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even when timing would now choose another one: the machine may be busier, or another one."""
    timings = iter([Choice(precision="bfloat16"), *[Choice(layout="contiguous")] * 100])
    monkeypatch.setattr(tuning, "quickest", lambda *args, **options: next(timings))
    monkeypatch.setattr(tuning, "FEWEST_STEPS", 1)
    pieces = in_pieces(quick(epochs=3, precision="auto"), tmp_path / "pieces")
    whole = fit.fit(*problem(), quick(epochs=3, precision="bfloat16"), tmp_path / "whole")
    assert pieces.precision == "bfloat16"
    assert same(whole.weights, pieces.weights)


@pytest.mark.slow
def test_kill_9_at_random_moments_changes_nothing(tmp_path: Path) -> None:
    assert_kills_change_nothing(tmp_path, quick(epochs=6, head_epochs=1), PROGRAM)


def assert_kills_change_nothing(tmp_path: Path, plan: Plan, program: str) -> None:
    """Run ``program`` once to its end and once killed at random moments, with a state after every step."""
    whole = start(tmp_path / "whole" / "run", plan, every=120.0, program=program)
    assert whole.wait(timeout=240) == 0
    rng = random.Random(0)
    kills = 0
    while not (tmp_path / "killed" / "final.safetensors").exists():
        process = start(tmp_path / "killed" / "run", plan, every=-1.0, program=program)
        assert process.stdout is not None
        process.stdout.readline()  # ready: the kill falls into the run, not into imports
        try:
            process.wait(timeout=rng.uniform(0.05, 0.6) if kills < 3 else 240)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait(timeout=30)
            kills += 1
        process.stdout.close()
    assert kills >= 2
    assert same(
        load_file(tmp_path / "whole" / "final.safetensors"), load_file(tmp_path / "killed" / "final.safetensors")
    )


#: Imports once, then trains in a fork in the folder of every line read: a start costs next to nothing. Prints its id.
FORKING = """
import json, os, sys, time
from pathlib import Path
from safetensors.torch import save_file
from emolab.training.fitting import fit
from emolab.training.runs import state
from emolab.training.runs.recipes import Plan
from tests.support.learnable import problem
state.SAVE_EVERY = -1.0
folder = Path(sys.argv[1])
pixels, data = problem()
for line in sys.stdin:
    child = os.fork()
    if child:
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        continue
    run = folder / line.strip()
    fitted = fit.fit(pixels, data, Plan(**json.loads(sys.argv[2])), run)
    save_file(fitted.weights, run / "final.part")
    (run / "final.part").rename(run / "final.safetensors")
    os._exit(0)
"""


def names(folder: Path) -> list[str]:
    """The states of the run in ``folder``."""
    return sorted(place.name for place in folder.glob("at-*"))


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="processes cannot be held by a handle here")
def test_dozens_of_kills_at_random_instants_change_nothing(tmp_path: Path) -> None:
    pixels, data = problem()
    plan = quick(epochs=3, head_epochs=1)
    whole = fit.fit(pixels, data, plan, tmp_path / "whole")
    rng = random.Random(1)
    kills, runs = 0, 0
    with subprocess.Popen(
        [sys.executable, "-c", FORKING, str(tmp_path), json.dumps(asdict(plan))], cwd=ROOT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    ) as process:  # fmt: skip
        while kills < 10:  # a quick machine ends a training after few of them: another one, then
            runs += 1
            assert runs <= 10, f"{kills} kills in {runs - 1} trainings"
            kills += killed_until_it_ends(process, tmp_path, f"run{runs}", rng)
            assert same(whole.weights, load_file(tmp_path / f"run{runs}" / "final.safetensors"))
        assert process.stdin is not None
        process.stdin.close()


def killed_until_it_ends(process: subprocess.Popen[str], folder: Path, name: str, rng: random.Random) -> int:
    """How often the training in ``folder / name`` is killed, each time after at least one new state, until it ends."""
    assert process.stdin is not None
    assert process.stdout is not None
    run, kills = folder / name, 0
    final = run / "final.safetensors"
    while not final.exists():
        before = names(run)
        print(name, file=process.stdin, flush=True)
        handle = os.pidfd_open(int(process.stdout.readline()))
        deadline = time.monotonic() + 60
        while names(run) == before and not final.exists():
            assert time.monotonic() < deadline
            time.sleep(0.001)
        time.sleep(rng.uniform(0.0, 0.05))  # the instant of the kill, not a wait for something
        with suppress(ProcessLookupError):  # it may have come to its end
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        os.close(handle)
        ended = int(process.stdout.readline())
        assert ended in {0, -signal.SIGKILL}
        kills += ended != 0
    return kills


def test_a_half_written_state_is_ignored(tmp_path: Path) -> None:
    pixels, data = problem(n=30, valid=6)
    fit.fit(pixels, data, quick(epochs=1), tmp_path)
    complete = state.newest(tmp_path)
    (tmp_path / f".part-{time.time_ns()}").mkdir()
    (tmp_path / "at-999999999-00009").mkdir()  # no state.json yet
    assert state.newest(tmp_path) == complete


def test_a_state_holds_no_pickle(tmp_path: Path) -> None:
    pixels, data = problem(n=30, valid=6)
    fit.fit(pixels, data, quick(epochs=1), tmp_path)
    assert {file.suffix for file in tmp_path.rglob("*") if file.is_file()} == {".json", ".safetensors"}
