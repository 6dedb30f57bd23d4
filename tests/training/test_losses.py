"""The loss: vote distributions, and classes that a source cannot show."""

from __future__ import annotations

import torch

from emolab.training.fitting.losses import masked_log_softmax, soft_cross_entropy

ALL = torch.ones(2, 3, dtype=torch.bool)


def test_equals_torchs_cross_entropy_when_every_class_is_supported() -> None:
    logits = torch.randn(2, 3, generator=torch.Generator().manual_seed(0))
    targets = torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.2, 0.8]])
    expected = torch.nn.functional.cross_entropy(logits, targets)
    assert torch.allclose(soft_cross_entropy(logits, targets, ALL), expected)


def test_a_class_outside_of_the_source_changes_neither_loss_nor_gradient() -> None:
    supported = torch.tensor([[True, True, False]])
    targets = torch.tensor([[1.0, 0.0, 0.0]])
    losses = []
    for hidden in (-5.0, 0.0, 50.0):
        logits = torch.tensor([[0.3, -0.2, hidden]], requires_grad=True)
        loss = soft_cross_entropy(logits, targets, supported)
        loss.backward()
        losses.append(float(loss.detach()))
        assert logits.grad is not None
        assert float(logits.grad[0, 2]) == 0.0
        assert torch.isfinite(logits.grad).all()
    assert losses[0] == losses[1] == losses[2]


def test_log_probabilities_of_the_supported_classes_sum_to_one() -> None:
    supported = torch.tensor([[True, False, True]])
    logs = masked_log_softmax(torch.tensor([[1.0, 9.0, 2.0]]), supported)
    assert torch.isclose(logs[0, [0, 2]].exp().sum(), torch.tensor(1.0))
    assert float(logs[0, 1]) == 0.0
