"""The ablations' own code: mixtures whose targets say what is in the images, and labels of which a share is wrong."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.ablations import CUTMIX_SHARE, STAGES, Arm, Mixing, generalised, with_targets
from emolab.training.fitting.losses import soft_cross_entropy
from tests.support.learnable import problem


def flat(n: int) -> np.ndarray:
    """Image i is grey 20 i all over."""
    return np.repeat(np.arange(n, dtype=np.uint8) * 20, 16 * 16).reshape(n, 16, 16, 1)


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_targets_are_mixed_by_the_share_of_the_pixels(kind: str) -> None:
    mixed, seen = 0, torch.zeros(0)

    def keep(logits: torch.Tensor, targets: torch.Tensor, supported: torch.Tensor) -> torch.Tensor:
        nonlocal seen
        seen = targets
        return soft_cross_entropy(logits, targets, supported)

    for seed in range(12):
        mixing = Mixing(kind)
        out = mixing.after(lambda images, rng: images)(flat(6), np.random.default_rng(seed))
        logits = torch.zeros(6, 6, requires_grad=True)
        mixing.loss(keep)(logits, torch.eye(6), torch.ones(6, 6, dtype=torch.bool))
        greys = seen.numpy() @ (np.arange(6) * 20)
        assert np.abs(out.reshape(6, -1).mean(axis=1) - greys).max() <= 0.51
        mixed += mixing.share < 1
        mixing.loss(keep)(logits.detach(), torch.eye(6), torch.ones(6, 6, dtype=torch.bool))
        assert torch.equal(seen, torch.eye(6))
    assert mixed == 12 if kind == "mixup" else 2 <= mixed <= 12 * CUTMIX_SHARE + 4


def test_the_robust_loss_is_bounded_and_near_cross_entropy_for_small_errors() -> None:
    able = torch.ones(1, 3, dtype=torch.bool)
    target = torch.tensor([[1.0, 0.0, 0.0]])
    sure, wrong = torch.tensor([[6.0, 0.0, 0.0]]), torch.tensor([[-60.0, 0.0, 0.0]])
    assert float(generalised(sure, target, able)) == pytest.approx(
        float(soft_cross_entropy(sure, target, able)), rel=0.01
    )
    assert float(generalised(wrong, target, able)) == pytest.approx(1 / 0.7, rel=1e-3)


def test_the_share_of_wrong_labels_is_the_one_of_the_arm_and_the_same_for_both_losses() -> None:
    _, data = problem(2000, 4, valid=200)
    noisy = with_targets(data, Arm("noisy", single=True, noise=0.2), 0)
    assert (noisy.hard != data.hard).mean() == pytest.approx(0.2, abs=0.03)
    assert np.array_equal(noisy.targets.argmax(axis=1), noisy.hard)
    assert np.array_equal(with_targets(data, Arm("robust", single=True, noise=0.2, robust=True), 0).hard, noisy.hard)
    assert with_targets(data, Arm("votes"), 0) is data


def test_every_arm_is_compared_with_one_that_is_run() -> None:
    names = {arm.name for stage in STAGES for arm in stage}
    assert {arm.base for stage in STAGES for arm in stage} <= names
    assert len(names) == sum(map(len, STAGES))
