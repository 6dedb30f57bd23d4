"""Layout and precision of the step: by timing, remembered, the same for a run however often it is resumed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from emolab.training.fitting import tuning
from emolab.training.fitting.tuning import Choice
from emolab.training.networks import backbones
from emolab.training.networks.classifier import Classifier
from emolab.training.runs.recipes import Plan
from tests.support.learnable import SIZE, bars, quick

CPU = torch.device("cpu")
IMAGES = bars(10, 2)[0]
SLOW = Choice(layout="contiguous", precision="bfloat16")


def network() -> Classifier:
    torch.manual_seed(0)
    return Classifier(backbones.build("tiny", "none", size=SIZE), 2, dropout=0.5)


def settle(plan: Plan, folder: Path, *, steps: int = 1000, known: Path | None = None) -> Choice:
    return tuning.settle(network(), lambda: IMAGES, plan, folder, device=CPU, steps=steps, known=known)


def clock(monkeypatch: pytest.MonkeyPatch, seconds: dict[str, float]) -> list[str]:
    """Let steps take these times; the names of the candidates, in the order they were timed."""
    seen: list[str] = []

    def timed(choice: Choice, *_: object, **__: object) -> float:
        seen.append(choice.name)
        return seconds[choice.name]

    monkeypatch.setattr(tuning, "_timed", timed)
    return seen


EVEN = {f"{layout} {kind}": 1.0 for layout in ("channels_last", "contiguous") for kind in ("float32", "bfloat16")}


@pytest.mark.parametrize("name", EVEN)
def test_the_quickest_is_taken(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock(monkeypatch, {**EVEN, name: 0.5})
    assert settle(quick(precision="auto"), tmp_path).name == name


def test_a_gain_that_may_be_noise_is_not_worth_less_precision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock(monkeypatch, {**EVEN, "channels_last bfloat16": 0.97})
    assert settle(quick(precision="auto"), tmp_path).name == "channels_last float32"


def test_a_hopeless_candidate_takes_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = clock(monkeypatch, {**EVEN, "contiguous bfloat16": 9.0, "contiguous float32": 1.5})
    settle(quick(precision="auto"), tmp_path)
    assert {name: seen.count(name) for name in EVEN} == {
        "channels_last float32": 4, "channels_last bfloat16": 4, "contiguous float32": 2, "contiguous bfloat16": 1,
    }  # fmt: skip


@pytest.mark.slow
def test_timing_real_steps_leaves_the_network_and_the_generator_alone(tmp_path: Path) -> None:
    model = network()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    generator = torch.get_rng_state()
    found = tuning.quickest(model, IMAGES, quick(precision="auto"), device=CPU)
    assert set(found.seconds) == set(EVEN)
    assert min(found.seconds.values()) > 0
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(torch.get_rng_state(), generator)


def test_a_resumed_run_keeps_its_choice_whatever_the_clock_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock(monkeypatch, {**EVEN, SLOW.name: 0.5})
    assert settle(quick(precision="auto"), tmp_path).name == SLOW.name
    seen = clock(monkeypatch, {**EVEN, "channels_last bfloat16": 0.5})
    assert settle(quick(precision="auto"), tmp_path).name == SLOW.name
    assert not seen


def test_the_next_run_of_the_same_work_is_not_timed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = tmp_path / "cache" / "tuning.json"
    clock(monkeypatch, {**EVEN, SLOW.name: 0.5})
    settle(quick(precision="auto"), tmp_path / "first", known=known)
    seen = clock(monkeypatch, EVEN)
    assert settle(quick(precision="auto", seed=3), tmp_path / "second", known=known).name == SLOW.name
    assert not seen
    assert settle(quick(precision="auto", batch=5), tmp_path / "third", known=known).name == Choice().name
    assert len(json.loads(known.read_text())) == 2


def test_what_cannot_be_read_is_timed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / tuning.FILE).write_text("half a docu")
    clock(monkeypatch, {**EVEN, SLOW.name: 0.5})
    assert settle(quick(precision="auto"), tmp_path).name == SLOW.name


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_precision_that_was_asked_for_wins_untimed(
    precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = clock(monkeypatch, EVEN)
    assert settle(quick(precision=precision), tmp_path).name == f"channels_last {precision}"
    assert not seen


@pytest.mark.parametrize(("changes", "steps"), [({"tuning": False}, 1000), ({}, tuning.FEWEST_STEPS - 1)])
def test_switched_off_or_too_short_a_run_is_plain(
    changes: dict[str, object], steps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = clock(monkeypatch, {**EVEN, SLOW.name: 0.5})
    assert settle(quick(precision="auto", **changes), tmp_path, steps=steps) == Choice()
    assert not seen


@pytest.mark.parametrize("layout", tuning.LAYOUTS)
def test_every_layout_gives_the_same_answers(layout: str) -> None:
    images = torch.from_numpy(np.ascontiguousarray(IMAGES)).permute(0, 3, 1, 2)
    with torch.inference_mode():
        plain = network().eval()(images)
        laid = Choice(layout=layout).lay_out(network(), CPU).eval()(images)
    assert torch.allclose(laid, plain, atol=1e-5)
