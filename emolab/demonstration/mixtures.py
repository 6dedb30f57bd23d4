"""What a made sample shows: one emotion, or weakly, or two that people mix up; and what they would then answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy.random import Generator

#: How often a second emotion is mixed in, and how often one is weak.
_AMBIGUOUS, _WEAK = 0.22, 0.12
#: The share of people who answer anything at all.
_CARELESS = 0.05


def mixture(name: str, near: Mapping[str, Sequence[str]], rng: Generator) -> dict[str, float]:
    """Shares (they sum to 1) of emotions in a sample that shows ``name``; ``near``: what people take each for."""
    weights = {name: 1.0}
    if rng.random() < _AMBIGUOUS:
        other = near[name][int(rng.integers(len(near[name])))]
        share = float(rng.uniform(0.25, 0.5))
        weights = {name: 1 - share, other: share}
    if name != "neutral" and rng.random() < _WEAK:
        fade = float(rng.uniform(0.3, 0.6))
        weights = {key: value * (1 - fade) for key, value in weights.items()}
        weights["neutral"] = weights.get("neutral", 0.0) + fade
    return weights


def answers(weights: Mapping[str, float], classes: Sequence[str]) -> dict[str, float]:
    """Shares of people who would give each answer: sharper than ``weights``, and a few answer anything."""
    sharp = {key: value**1.6 for key, value in weights.items()}
    said = dict.fromkeys(classes, _CARELESS / len(classes))
    for key, value in sharp.items():
        said[key] += (1 - _CARELESS) * value / sum(sharp.values())
    return said
