"""Learning without labels: the task is the image before it was distorted, and a run may be stopped anywhere."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
import torch

from emolab.errors import EmolabError
from emolab.training.augment import warp
from emolab.training.inputs import batches
from emolab.training.inputs.pixel_cache import Pixels
from emolab.training.pretraining import pretrain
from emolab.training.runs import state
from emolab.training.runs.recipes import Plan
from tests.support.learnable import quick
from tests.training.test_resume import Impatient, Stop, assert_kills_change_nothing, same

#: Pretrains in ``argv[1]`` by the plan in ``argv[2]``, and writes the final weights beside it.
PROGRAM = """
import json, sys
from pathlib import Path
from safetensors.torch import save_file
from emolab.training.pretraining import pretrain
from emolab.training.runs import state
from emolab.training.runs.recipes import Plan
from tests.training.test_pretrain import images
state.SAVE_EVERY = float(sys.argv[3])
folder = Path(sys.argv[1])
pixels = images()
print("ready", flush=True)
found = pretrain.pretrain(pixels, Plan(**json.loads(sys.argv[2])), folder)
save_file(found.weights, folder.parent / "final.part")
(folder.parent / "final.part").rename(folder.parent / "final.safetensors")
"""


def images(n: int = 48, size: int = 16) -> Pixels:
    """Waves in n directions: what is to be told can be seen, even in part."""
    angle = np.linspace(0, np.pi, n, endpoint=False)[:, None, None]
    y, x = np.mgrid[:size, :size] * (16 / size)
    waves = np.sin((np.cos(angle) * x + np.sin(angle) * y) * 0.8)
    return Pixels.of((127.5 + 100 * waves).astype(np.uint8)[..., None])


def a_plan(**changes: object) -> Plan:
    return quick(**{"weights": "none", "lr": 2e-3, "batch": 12, **changes})


@pytest.mark.slow
def test_it_learns_to_tell_what_the_images_look_like(tmp_path: Path) -> None:
    found = pretrain.pretrain(images(), a_plan(epochs=20), tmp_path)
    losses = [row["loss"] for row in found.history]
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.slow
def test_stopping_after_any_step_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = pretrain.pretrain(images(), a_plan(), tmp_path / "whole")
    monkeypatch.setattr(state, "SAVE_EVERY", -1.0)
    for _ in range(20):
        with contextlib.suppress(Stop):
            pieces = pretrain.pretrain(images(), a_plan(), tmp_path / "pieces", progress=Impatient())
            break
    else:
        pytest.fail("20 pieces did not end the run")
    assert same(whole.weights, pieces.weights)
    assert whole.history == pieces.history


@pytest.mark.slow
def test_kill_9_at_random_moments_changes_nothing(tmp_path: Path) -> None:
    """In a process of its own, as ``emolab pretrain`` runs it."""
    assert_kills_change_nothing(tmp_path, a_plan(epochs=8), PROGRAM)


def test_other_seeds_learn_other_weights(tmp_path: Path) -> None:
    first, second = (pretrain.pretrain(images(), a_plan(epochs=1, seed=s), tmp_path / f"{s}").weights for s in (0, 1))
    assert not same(first, second)


def test_what_is_asked_for_is_mirrored_where_the_view_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With nothing distorted but half of the views mirrored, an image and its mirror image ask for different things."""
    asked: list[torch.Tensor] = []
    plain = np.array([[1.0, 0, 0], [0, 1, 0]])
    flipped = np.array([[-1.0, 0, 15], [0, 1, 0]])
    monkeypatch.setattr(warp, "affine_maps", lambda rng, n, shape, strength: np.stack([plain, flipped] * (n // 2)))
    ask = pretrain.Drawing.forward
    monkeypatch.setattr(pretrain.Drawing, "forward", lambda self, x: asked.append(x.clone()) or ask(self, x))
    ramp = np.tile(np.linspace(0, 255, 16, dtype=np.uint8), (24, 16, 1))[..., None]
    pretrain.pretrain(Pixels.of(ramp), a_plan(epochs=1), tmp_path)
    rising = asked[0][:, 0, 0, -1] > asked[0][:, 0, 0, 0]
    assert rising.tolist() == [True, False] * (len(rising) // 2)


@pytest.mark.slow
def test_what_is_asked_for_has_unit_spread_whatever_the_size() -> None:
    for size in (16, 64):
        pixels = batches.as_images(images(48, size).array, torch.device("cpu"))
        drawing = pretrain.Drawing(pixels)
        assert float(drawing(pixels).square().mean()) == pytest.approx(1, rel=0.05)
        assert drawing.basis.shape[1] <= 47


def test_a_loss_that_is_no_number_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrain.Drawing, "forward", lambda self, x: torch.full((len(x), 36), float("nan")))
    with pytest.raises(EmolabError, match=r"The loss became nan in epoch 1, step 1\."):
        pretrain.pretrain(images(), a_plan(), tmp_path)


def test_a_gradient_that_is_no_number_ends_the_run_before_it_reaches_the_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the last step of a run no later loss would tell."""
    real = torch.nn.utils.clip_grad_norm_
    left = iter([True] * 3 + [False] * 100)

    def clipped(parameters: object, most: float) -> torch.Tensor:
        found = real(list(parameters), most)  # type: ignore[call-overload]
        return found if next(left) else found * float("nan")

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", clipped)
    with pytest.raises(EmolabError, match=r"The gradient became nan in epoch 1, step 4\."):
        pretrain.pretrain(images(), a_plan(epochs=1), tmp_path)
    assert state.newest(tmp_path) is None
