"""What several models say of one moment, put together: late fusion of calibrated log-probabilities.

Each channel (a face, a voice, words) counts by how far its probabilities move from its own prior, that is by
``log p - log prior``, times its weight. The prior itself is counted once. So a channel that is missing changes nothing,
a single one answers as its model does, and with weights of 1 the rule is that of naive Bayes: right where the channels
err independently of each other, given the class.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emolab.taxonomy import canonical

#: Shares below this are as good as none: one model alone must not rule a class out.
LEAST = 1e-4
#: What becomes of a class where not every channel has it by itself.
_FOLDED = {"calm": "neutral"}
#: No channel may count more than this often, however surely validation data say so.
MOST_WEIGHT = 4.0


@dataclass(frozen=True)
class Channel:
    """A model among others: its ``classes`` (k), the ``prior`` (k,) that is in its probabilities, and its ``weight``.

    Without a ``prior`` every class is as likely as any other.
    """

    name: str
    classes: tuple[str, ...]
    prior: NDArray[np.float64] | None = None
    weight: float = 1.0


class Fuser:
    """Puts ``channels`` together. ``classes`` (K) are all that any of them knows, each under one name."""

    def __init__(self, channels: Sequence[Channel]) -> None:
        self.channels = tuple(channels)
        meanings = [[canonical(name) for name in channel.classes] for channel in channels]
        split = {kind for kind in _FOLDED if all(kind in known for known in meanings)}
        meanings = [[one if one in split else _FOLDED.get(one, one) for one in known] for known in meanings]
        spelled: dict[str, str] = {}
        for channel, known in zip(channels, meanings, strict=True):
            for name, meaning in zip(channel.classes, known, strict=True):
                spelled.setdefault(meaning, name if canonical(name) == meaning else meaning)
        keys = list(spelled)
        self.classes = tuple(spelled.values())
        self._maps = {
            channel.name: np.array([[meaning == key for key in keys] for meaning in known], dtype=np.float64)
            for channel, known in zip(channels, meanings, strict=True)
        }
        self._priors = {channel.name: self._log(channel.name, _prior(channel)) for channel in channels}

    def fuse(self, said: Mapping[str, NDArray[np.floating[Any]] | None]) -> NDArray[np.float64] | None:
        """Probabilities (K,) from what each channel said, (k,); ``None`` or left out: it said nothing.

        ``None`` where none of them said anything.
        """
        rows = {name: np.asarray(probs, np.float64)[None] for name, probs in said.items() if probs is not None}
        return self.fuse_all(rows, 1)[0] if rows else None

    def fuse_all(
        self,
        said: Mapping[str, NDArray[np.floating[Any]]],
        n: int,
        weights: Mapping[str, float] | None = None,
    ) -> NDArray[np.float64]:
        """Probabilities (n, K) of ``n`` moments, for each of which at least one channel says something.

        ``said`` holds (n, k) of each channel; a row of NaN says nothing.
        """
        evidence, prior = self._terms(said, n)
        weight = np.array([(weights or {}).get(c.name, c.weight) for c in self.channels])
        return _softmax(prior + np.tensordot(weight, evidence, axes=1))

    def fit_weights(self, said: Mapping[str, NDArray[np.floating[Any]]], truth: Sequence[str]) -> dict[str, float]:
        """The weights under which the classes ``truth`` (n) of validation moments are likeliest, 0 to 4 each.

        ``said`` as in :meth:`fuse_all`. Moments whose class no channel knows are left out. Never fit them on what is
        to be judged.
        """
        from scipy.optimize import minimize

        place = {name: i for i, name in enumerate(self.classes)}
        known = [place.get(common_name(name, self.classes), -1) for name in truth]
        rows = np.array([i for i, found in enumerate(known) if found >= 0], dtype=np.int64)
        wanted = np.array([known[i] for i in rows], dtype=np.int64)
        evidence, prior = self._terms(said, len(truth))
        evidence, prior = evidence[:, rows], prior[rows]
        at = np.arange(len(rows))

        def loss(weight: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            probs = _softmax(prior + np.tensordot(weight, evidence, axes=1))
            error = probs.copy()
            error[at, wanted] -= 1
            value = -np.log(np.maximum(probs[at, wanted], 1e-300)).mean()
            return float(value), np.einsum("cnk,nk->c", evidence, error) / len(rows)

        start = np.ones(len(self.channels))
        found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0.0, MOST_WEIGHT)] * len(start))
        return {channel.name: round(float(w), 4) for channel, w in zip(self.channels, found.x, strict=True)}

    def _terms(
        self, said: Mapping[str, NDArray[np.floating[Any]]], n: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Evidence (c, n, K) of the channels, 0 where one is silent or does not know a class; log prior (n, K)."""
        k = len(self.classes)
        evidence = np.zeros((len(self.channels), n, k))
        total, count = np.zeros((n, k)), np.zeros((n, k))
        for place, channel in enumerate(self.channels):
            rows = said.get(channel.name)
            if rows is None:
                continue
            there = np.isfinite(rows).all(axis=1)
            known = self._maps[channel.name].any(axis=0)
            own = self._priors[channel.name]
            logs = self._log(channel.name, np.asarray(rows, np.float64)[there])
            evidence[place][np.ix_(there, known)] = (logs - own)[:, known]
            total[np.ix_(there, known)] += own[known]
            count[np.ix_(there, known)] += 1
        with np.errstate(invalid="ignore", divide="ignore"):
            prior = np.where(count > 0, total / count, -np.inf)
        return evidence, prior

    def _log(self, name: str, probs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Logarithms (..., K) of a channel's ``probs`` (..., k), by the common classes."""
        mapped = probs @ self._maps[name]
        return np.log(np.maximum(mapped, LEAST))


def common_name(name: str, classes: Iterable[str]) -> str:
    """The one of the common ``classes`` that a channel's class ``name`` became part of; itself where none did.

    >>> common_name("joy", ["neutral", "happiness"]), common_name("calm", ["neutral", "happiness"])
    ('happiness', 'neutral')
    """
    by_meaning = {canonical(each): each for each in classes}
    meaning = canonical(name)
    return by_meaning.get(meaning, by_meaning.get(_FOLDED.get(meaning, meaning), name))


def exclusive(probs: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Distributions (n, k) from probabilities (n, k) of each class by itself: given that exactly one of them holds.

    >>> exclusive(np.array([[0.5, 0.5], [0.9, 0.5]])).round(2).tolist()
    [[0.5, 0.5], [0.9, 0.1]]
    """
    bounded = np.clip(np.asarray(probs, np.float64), 1e-6, 1 - 1e-6)
    odds = bounded / (1 - bounded)
    shares: NDArray[np.float64] = odds / odds.sum(axis=1, keepdims=True)
    return shares


def _prior(channel: Channel) -> NDArray[np.float64]:
    k = len(channel.classes)
    if channel.prior is None:
        return np.full(k, 1 / k)
    return np.asarray(channel.prior, np.float64) / np.sum(channel.prior)


def _softmax(logs: NDArray[np.float64]) -> NDArray[np.float64]:
    raised = np.exp(logs - logs.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = raised / raised.sum(axis=1, keepdims=True)
    return shares
