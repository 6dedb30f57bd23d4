"""Observations of a made-up model, with and without a change."""

from __future__ import annotations

import numpy as np

from emolab.monitoring.reference import Observations

CLASSES = ("neutral", "happiness", "sadness")


def observations(
    n: int,
    seed: int,
    *,
    shift: float = 0.0,
    sharper: float = 0.0,
    bias: float = 0.0,
    darker: float = 0.0,
    rows: int = 300,
    split: float = 0.0,
    slower: float = 1.0,
) -> Observations:
    """``n`` samples with heavy tails; ``rows`` are the annotators'. Each other argument is one change."""
    rng = np.random.default_rng(seed)
    embeddings = rng.standard_t(5, (n, 12)) @ np.diag(np.linspace(0.2, 2, 12))
    embeddings[:, 3] += shift
    logits = embeddings[:, :3] * (1 + sharper) + np.array([0.5, 0.0, bias])
    probs = np.exp(logits - logits.max(axis=1, keepdims=True))
    probs /= probs.sum(axis=1, keepdims=True)
    return Observations(
        classes=CLASSES,
        probs=probs,
        embeddings=embeddings,
        quality={"brightness": rng.beta(4, 4, n) - darker, "blur": rng.exponential(0.2, n)},
        agreement=np.clip(rng.choice([1.0, 2 / 3, 1 / 3], rows, p=[0.6, 0.3, 0.1]) - split, 0, 1),
        seconds=rng.lognormal(1, 0.6, rows) * slower,
    )
