"""Where models compute: by name, with an error that says what to type when there is no such place."""

from __future__ import annotations

import json

import pytest
import torch

from emolab.cli.main import run
from emolab.errors import ConfigError, EmolabError
from emolab.loop.model.train import train
from emolab.training.fitting import devices
from emolab.workspace import Workspace
from tests.support.learnable import QUICK, configure, fill_workspace, quick
from tests.training.test_train_model import StopAfter


@pytest.mark.parametrize(
    ("wanted", "cuda", "expected"),
    [("auto", False, "cpu"), ("auto", True, "cuda"), ("cpu", True, "cpu"), ("cuda", True, "cuda")],
)
def test_the_device_by_name(monkeypatch: pytest.MonkeyPatch, wanted: str, cuda: bool, expected: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    assert devices.pick_device(wanted).type == expected


def test_apples_gpu_is_used_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert devices.pick_device("mps").type == "mps"
    assert devices.pick_device("auto").type == "cpu"


@pytest.mark.parametrize(("name", "text"), [("cuda", "torch finds no GPU"), ("mps", "torch finds no Apple GPU")])
def test_a_gpu_that_is_not_there_is_a_clear_error(monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(EmolabError, match=rf"The device is {name}, but {text}\. Use --device auto"):
        devices.pick_device(name)


def test_an_unknown_device_names_the_known_ones() -> None:
    with pytest.raises(EmolabError, match=r'Unknown device "gpu"; expected one of auto, cpu, cuda, mps'):
        devices.pick_device("gpu")
    with pytest.raises(ConfigError, match=r'training\.device is "gpu"; expected one of auto, cpu, cuda, mps'):
        quick(device="gpu")
    assert quick(device="mps").device == "mps"


@pytest.mark.slow
@pytest.mark.parametrize("command", ["train", "evaluate champion --on valid", "predict champion ."])
def test_commands_take_the_device_as_an_option(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    fill_workspace(workspace)
    workspace = configure(workspace, QUICK + "\ntensorboard = false")
    first = ["-w", str(workspace.root)]
    if command != "train":
        assert run([*first, "train"]) == 0
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    words = [str(workspace.media) if word == "." else word for word in command.split()]
    assert run([*first, *words, "--device", "cpu"]) == 0
    capsys.readouterr()
    assert run([*first, *words, "--device", "cuda"]) == 1
    assert "The device is cuda, but torch finds no GPU" in capsys.readouterr().err
    assert run([*first, *words, "--device", "gpu"]) == 2
    more = "'tensorrt', " if command.startswith("predict") else ""
    assert f"'auto', 'cpu', 'cuda', {more}'mps'" in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_begun_on_a_gpu_can_be_resumed_without_one(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    fill_workspace(workspace)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    there = configure(workspace, QUICK + "\ntensorboard = false")
    with pytest.raises(KeyboardInterrupt):
        train(there, progress=StopAfter(6))
    (plan,) = there.root.rglob("plan.json")
    plan.write_text(json.dumps(json.loads(plan.read_text()) | {"device": "cuda"}))
    with pytest.raises(EmolabError, match="The device is cuda"):
        train(there, resume=True)
    assert train(there, resume=True, device="cpu").alias == "champion"


def test_threads_are_given_back() -> None:
    before = torch.get_num_threads()
    with devices.cpu_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
