"""Several processes, one training: the same curve as one process, one voice, and nobody left waiting for the dead."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from emolab.catalog import models
from emolab.errors import DataError, EmolabError, MissingExtra
from emolab.training.fitting import distributed, fit
from emolab.training.inputs.pixel_cache import Pixels
from emolab.training.inputs.training_set import TrainingSet
from emolab.training.runs import runs, state
from emolab.training.runs.recipes import Plan
from emolab.workspace import Workspace
from tests.support.learnable import QUICK, SIZE, configure, fill_workspace, problem, quick
from tests.support.paths import ROOT

pytest.importorskip("lightning_fabric")


#: Trains in ``argv[1]`` by the plan ``argv[2]`` with ``argv[3]`` processes, forked as torchrun would start them,
#: so that PyTorch is imported once; each writes what it ended with.
PROGRAM = """
import json, os, sys
from pathlib import Path
from safetensors.torch import save_file
from emolab.labeling.server.daemon import free_port
from emolab.training.fitting import distributed, fit
from emolab.training.runs.recipes import Plan
from tests.training.test_distributed import material
folder, plan = Path(sys.argv[1]), Plan(**json.loads(sys.argv[2]))
pixels, data = material(plan.size)
processes = int(sys.argv[3])
port = free_port()
children = []
for rank in range(processes):
    children.append(os.fork())
    if children[-1] == 0:
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": processes, "LOCAL_WORLD_SIZE": processes}
        where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "TORCHELASTIC_RUN_ID": "forked", "GROUP_RANK": 0}
        os.environ.update({name: str(value) for name, value in {**place, **where}.items()})
        mine = distributed.join("cpu")
        found = fit.fit(pixels, data, plan, folder / "run", team=mine)
        save_file(found.weights, folder / f"weights-{mine.rank}.safetensors")
        (folder / f"history-{mine.rank}.json").write_text(json.dumps(found.history))
        sys.stdout.flush()
        os._exit(0)
sys.exit(1 if any([os.waitpid(child, 0)[1] for child in children]) else 0)
"""


def material(size: int = SIZE) -> tuple[Pixels, TrainingSet]:
    """90 images to learn from and 60 to validate on, of ``size`` pixels, a multiple of 16."""
    pixels, data = problem(n=150, valid=60)
    return Pixels(pixels.array.repeat(size // SIZE, axis=1).repeat(size // SIZE, axis=2), pixels.rows), data


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "COLUMNS": "110"}


def torchrun(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", *arguments]


def train_together(
    tmp_path: Path, plan: Plan, processes: int = 2
) -> tuple[list[dict[str, Any]], dict[str, torch.Tensor]]:
    """History and weights of a training by several processes, which all end with the same."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    subprocess.run(
        [sys.executable, str(program), str(tmp_path), json.dumps(asdict(plan)), str(processes)],
        cwd=ROOT, env=environment(), timeout=240, check=True, capture_output=True,
    )  # fmt: skip
    histories = [json.loads((tmp_path / f"history-{rank}.json").read_text()) for rank in range(processes)]
    weights = [load_file(tmp_path / f"weights-{rank}.safetensors") for rank in range(processes)]
    for rank in range(1, processes):
        assert [row["train_loss"] for row in histories[rank]] == [row["train_loss"] for row in histories[0]]
        assert all(torch.equal(weights[rank][key], weights[0][key]) for key in weights[0])
    return histories[0], weights[0]


#: Relative differences allowed between one process and several: sums in another order, in single precision. The plans
#: below learn slowly enough for rounding to stay small: whatever a processor multiplies with (SSE 4.1 to AVX-512) moves
#: their losses by 7e-5 at most. At a rate of 0.02 instead of 0.005 it moves those of vgg11 by 7 %.
CLOSE = 2e-4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "processes"),
    [({"backbone": "hog", "batch": 16}, 2), ({"backbone": "hog", "batch": 20, "optimizer": "sgd", "lr": 0.1}, 3),
     ({"backbone": "vgg11", "weights": "none", "size": 32, "head_epochs": 1, "optimizer": "sgd", "lr": 0.005,
      "epochs": 2}, 2)],
    ids=["two", "three of unequal parts", "all layers"],
)  # fmt: skip
def test_several_processes_follow_the_curve_of_one(tmp_path: Path, settings: dict[str, object], processes: int) -> None:
    """Augmented as usual; no dropout, which draws for each process, and no batch norm, which sees its part only."""
    options: dict[str, object] = {"epochs": 4, "dropout": 0.0, "strength": 0.5, **settings}
    plan = quick(n_train=90, **options)
    pixels, data = material(plan.size)
    alone = fit.fit(pixels, data, plan, tmp_path / "alone")
    history, weights = train_together(tmp_path, plan, processes)
    for key in ("train_loss", "valid_loss"):
        mine, theirs = ([row[key] for row in rows] for rows in (alone.history, history))
        assert mine == pytest.approx(theirs, rel=CLOSE)
    for key, value in alone.weights.items():
        assert torch.allclose(value, weights[key], rtol=1e-2, atol=1e-4), key


@pytest.mark.slow
def test_with_batch_norm_and_dropout_all_processes_still_end_alike(tmp_path: Path) -> None:
    history, _ = train_together(tmp_path, quick(n_train=90, backbone="tiny", epochs=3, batch=16, dropout=0.3))
    assert history[-1]["train_loss"] < history[0]["train_loss"]
    assert np.isfinite(history[-1]["valid_loss"])


@pytest.mark.slow
def test_what_one_process_began_two_finish(tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stop(row: dict[str, object]) -> None:
        if row["epoch"] == 2:
            raise Stop

    pixels, data = material()
    plan = quick(n_train=90, backbone="hog", epochs=4, batch=16, dropout=0.0)
    alone = fit.fit(pixels, data, plan, tmp_path / "alone")
    with pytest.raises(Stop):
        fit.fit(pixels, data, plan, tmp_path / "run", watch=stop)
    history, _ = train_together(tmp_path, plan)
    assert [row["train_loss"] for row in history[:2]] == [row["train_loss"] for row in alone.history[:2]]
    assert [row["train_loss"] for row in history] == pytest.approx([r["train_loss"] for r in alone.history], rel=CLOSE)


@pytest.fixture
def ready(workspace: Workspace) -> Workspace:
    fill_workspace(workspace)
    hog = QUICK.replace('backbone = "tiny"', 'backbone = "hog"')
    return configure(workspace, hog + "\ntensorboard = false\ndropout = 0.0")


@pytest.mark.slow
def test_the_command_speaks_and_writes_once(ready: Workspace) -> None:
    done = subprocess.run(
        torchrun("-m", "emolab", "-w", str(ready.root), "train", "--device", "cpu", "--json"),
        cwd=ROOT, env=environment(), timeout=240, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["alias"] == "candidate", "a head solved on the same features stays, and is kept beside it"
    assert runs.unfinished(ready) is None
    with ready.catalog() as catalog, catalog.connect() as conn:
        stored = [model.id[:16] for model in models.list_all(conn)]
    assert len(stored) == 2 and sorted(file.parent.name for file in ready.models.glob("*/model.json")) == sorted(stored)


@pytest.mark.slow
def test_an_error_before_the_start_is_said_once_and_ends_all(workspace: Workspace) -> None:
    done = subprocess.run(
        torchrun("-m", "emolab", "-w", str(workspace.root), "train"),
        cwd=ROOT, env=environment(), timeout=120, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode != 0
    assert done.stderr.count("error: ") == 1
    assert 'Run "emolab label pull"' in done.stderr


def workers(launcher: int) -> list[int]:
    """Process ids of the trainings that ``launcher`` started, by their rank."""
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            variables = dict(part.partition("=")[::2] for part in (place / "environ").read_text().split("\0"))
        except (OSError, ValueError):
            continue
        if parent == launcher and "RANK" in variables:
            found[int(variables["RANK"])] = int(place.name)
    return [found[rank] for rank in sorted(found)]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
@pytest.mark.parametrize("killed", [0, 1], ids=["the leader", "a helper"])
def test_a_killed_process_ends_the_others_with_a_message_and_the_run_goes_on_later(
    ready: Workspace, killed: int
) -> None:
    command = ["-m", "emolab", "-w", str(ready.root), "train", "--device", "cpu"]
    long = ["--set", "training.epochs=5000", "--set", "training.patience=0"]
    with subprocess.Popen(
        torchrun(*command, *long), cwd=ROOT, env=environment(), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
        text=True, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            deadline = time.monotonic() + 300
            while (found := runs.unfinished(ready)) is None or found.epochs_done() < 2:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.1)
            os.kill(workers(process.pid)[killed], signal.SIGKILL)
            _, err = process.communicate(timeout=60)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode != 0
    assert (
        "the 2 processes of this training has ended or hangs" in " ".join(err.split())
        or "stopped; run the same command" in err
    )
    stopped = runs.unfinished(ready)
    assert stopped is not None
    assert 2 <= stopped.epochs_done() < 5000
    assert state.newest(stopped.folder) is not None
    with ready.lock("train"):
        pass


#: Trains by the plan ``argv[2]``; in its third step the process of rank ``argv[3]`` falls silent, but lives on.
HANGING = """
import json, sys, time
from datetime import timedelta
from pathlib import Path
from emolab.errors import EmolabError
from emolab.training.fitting import distributed, fit
from emolab.training.runs.recipes import Plan
from tests.training.test_distributed import material
distributed.SILENCE = timedelta(seconds=3)
folder, plan = Path(sys.argv[1]), Plan(**json.loads(sys.argv[2]))
pixels, data = material(plan.size)
mine = distributed.join("cpu")
step = fit._Run.step
def hang(self, chosen):
    if mine.rank == int(sys.argv[3]) and self.at.step == 2:
        time.sleep(600)
    step(self, chosen)
fit._Run.step = hang
try:
    fit.fit(pixels, data, plan, folder / "run", team=mine)
except EmolabError as error:
    (folder / f"said-{mine.rank}").write_text(error.message)
    raise
"""


@pytest.mark.slow
@pytest.mark.parametrize("hanging", [0, 1], ids=["the leader", "a helper"])
def test_a_process_that_hangs_in_a_step_ends_the_training_within_minutes(tmp_path: Path, hanging: int) -> None:
    """With patience of three seconds here; torchrun ends the one that hangs when the other has given up."""
    program = tmp_path / "program.py"
    program.write_text(HANGING)
    plan = quick(n_train=90, backbone="hog", batch=16, dropout=0.0)
    done = subprocess.run(
        torchrun(str(program), str(tmp_path), json.dumps(asdict(plan)), str(hanging)),
        cwd=ROOT, env=environment(), timeout=300, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode != 0
    said = (tmp_path / f"said-{1 - hanging}").read_text()
    assert said.startswith("Another of the 2 processes of this training has ended or hangs")
    assert not (tmp_path / f"said-{hanging}").exists()


def test_the_patience_with_a_silent_process_is_minutes() -> None:
    assert distributed.SILENCE.total_seconds() <= 900 < distributed.PREPARING.total_seconds()


def test_alone_nothing_changes() -> None:
    assert distributed.join("cpu") is distributed.ALONE
    assert distributed.ALONE.leads
    assert distributed.ALONE.part(7) == slice(0, 7)
    assert distributed.ALONE.agree({"a": 1}) == {"a": 1}


class Pretended:
    """Lightning Fabric as seen by one of several processes."""

    device = torch.device("cpu")

    def __init__(self, rank: int, size: int) -> None:
        self.global_rank, self.world_size = rank, size

    def barrier(self) -> None:
        raise RuntimeError("[gloo] Connection closed by peer [127.0.0.1]\nmore")


def joined(rank: int, size: int, local: int) -> distributed.Joined:
    return distributed.Joined(Pretended(rank, size), local=local)  # type: ignore[arg-type]


@pytest.mark.parametrize(("n", "size"), [(10, 2), (11, 2), (10, 3), (7, 7)])
def test_the_parts_of_a_batch_cover_it_once_and_evenly(n: int, size: int) -> None:
    parts = [list(range(n))[joined(rank, size, size).part(n)] for rank in range(size)]
    assert [place for part in parts for place in part] == list(range(n))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_threads_are_shared_among_the_processes_of_a_machine() -> None:
    assert [joined(0, 4, 2).threads(n) for n in (1, 2, 8)] == [1, 1, 4]


def test_a_batch_too_small_to_share_says_what_to_do() -> None:
    with pytest.raises(
        DataError, match=r"Batches of 5 samples cannot be shared by 3 processes; each needs at least 2\."
    ):
        joined(0, 3, 3).require_batches(5)
    joined(0, 3, 3).require_batches(6)


def test_a_lost_process_is_an_error_in_words() -> None:
    with pytest.raises(
        EmolabError, match=r"Another of the 2 processes .* so process 1 stops too \(\[gloo\] Connection closed"
    ):
        joined(1, 2, 2).wait()


def test_without_fabric_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setitem(sys.modules, "lightning_fabric", None)
    with pytest.raises(MissingExtra, match=r'pip install "emolab\[distributed\]"'):
        distributed.join("cpu")
