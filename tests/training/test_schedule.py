"""Learning rates are pure functions of the step."""

from __future__ import annotations

import torch
from torch import nn

from emolab.training.fitting.schedule import depth_groups, discriminative, one_cycle


def test_one_cycle_rises_to_the_peak_once_and_falls_to_almost_nothing() -> None:
    rates = [one_cycle(step, 100) for step in range(100)]
    assert max(rates) == rates[14] == 1.0
    assert rates[:15] == sorted(rates[:15])
    assert rates[15:] == sorted(rates[15:], reverse=True)
    assert rates[-1] < 0.02


def test_one_cycle_of_a_single_step_is_the_peak() -> None:
    assert one_cycle(0, 1) == one_cycle(0, 0) == 1.0


def test_depth_groups_keep_order_and_lose_nothing() -> None:
    parameters = [nn.Parameter(torch.zeros(1)) for _ in range(8)]
    groups = depth_groups(parameters, 3)
    assert [len(group) for group in groups] == [3, 2, 3]
    assert [id(p) for group in groups for p in group] == [id(p) for p in parameters]


def test_a_network_of_two_tensors_still_makes_groups() -> None:
    assert [len(g) for g in depth_groups([nn.Parameter(torch.zeros(1)) for _ in range(2)], 3)] == [1, 1]


def test_rates_fall_towards_the_input() -> None:
    assert discriminative(3, 0.5) == [0.25, 0.5, 1.0]
