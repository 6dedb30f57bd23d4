"""What one more vote is worth: labelled and unlabelled samples on one scale, and why, in words.

After Goh & Mueller 2023, "ActiveLab: active learning with re-labeling by multiple annotators", which stands on CROWDLAB
(Goh, Tkachenko & Mueller 2022):

1. everybody gets a weight: how far an annotator agrees with others, how far the model agrees with what people settled
   on, both beyond what always naming the most common class would give;
2. a sample's consensus is as good as the weighted mean of what its annotators and the model say about it;
3. the more weight has spoken, the less one more vote can change; so that mean is drawn towards ``1 / k`` by one
   average annotator. What is left to 1 is the score: for a sample without votes only the model has spoken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import minimize_scalar

from emolab.errors import DataError
from emolab.votes.table import answers, counts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from emolab.records import VoteTable

    Floats = NDArray[np.floating[Any]]

#: Nobody weighs less, and no chance of error counts as smaller.
LEAST = 1e-6
#: The model's temperature is looked for between these.
COLDEST, HOTTEST = 0.1, 8.0


@dataclass(frozen=True)
class Trust:
    """How much everybody's word weighs: ``annotators`` (w,), their ``mean``, and the ``model`` at its ``temperature``.

    ``accuracy`` is the chance that a vote names the consensus, where several people voted.
    """

    annotators: NDArray[np.float64]
    mean: float
    model: float
    accuracy: float
    temperature: float


def scores(
    votes: VoteTable, probs: Floats | None, unlabelled: Floats | None = None, *, temperature: float | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What a vote is worth for each of ``votes.samples`` (n,) and each unlabelled sample (m,): in 0..1, more is better.

    ``probs`` (n, k) is what a model that did not learn from these votes (another fold, an earlier round) says about the
    labelled samples, ``unlabelled`` (m, k) about the others; rows sum to 1, and one with NaN means that the model has
    no answer. Then people alone count; where nobody's word can be weighed either, the score is NaN. ``temperature``
    divides the model's logits; ``None`` finds the one under which ``probs`` explain the votes best. Raises
    :class:`DataError` for a sample without votes and for shapes that do not fit.
    """
    n, k = len(votes.samples), len(votes.classes)
    known = _checked(probs, n, k)
    others = _checked(unlabelled, 0 if unlabelled is None else len(unlabelled), k)
    table = counts(votes)
    people = table.sum(axis=1)
    if (people == 0).any():
        none = int((people == 0).sum())
        raise DataError(f"{none} of {n} samples have no votes.", hint="Hand them over as unlabelled ones.")
    several = bool((people > 1).any())
    if temperature is None:
        temperature = _temperature(table, known) if several else 1.0
    model = _softened(known, temperature)
    consensus = np.where(table == table.max(axis=1, keepdims=True), np.nan_to_num(model) + 1, 0.0).argmax(axis=1)
    rows = np.arange(n)
    if several:
        said = answers(votes)
        # The first consensus is the majority's, the second the one that weighed opinions make of it.
        trust = _trust(said, table, model, consensus, temperature)
        consensus = _weighed(said, model, trust)[0].argmax(axis=1)
        trust = _trust(said, table, model, consensus, temperature)
        opinion, weight = _weighed(said, model, trust)
        quality = opinion[rows, consensus]
    else:
        trust = Trust(np.ones(len(votes.annotators)), 1.0, 1.0, np.nan, temperature)
        quality, weight = model[rows, consensus], people + 1
    best = _softened(others, temperature).max(axis=1)
    return 1 - _drawn(quality, weight, trust, k), 1 - _drawn(best, np.full(len(best), trust.model), trust, k)


def reason(votes: Floats, probs: Floats | None, classes: Sequence[str]) -> str:
    """Why a sample deserves one more vote, from the people behind each class (k,) and the model's row (k,).

    >>> reason(np.array([0.0, 2.0, 1.0]), np.array([0.1, 0.19, 0.71]), ("neutral", "fear", "surprise"))
    '2 of 3 said fear, the model says surprise 71%'
    """
    people = int(votes.sum())
    leaders = [classes[c] for c in np.flatnonzero(votes == votes.max()).tolist()]
    most = int(votes.max())
    if people == 0:
        said = "nobody has said anything yet"
    elif people == 1:
        said = f"the only vote says {leaders[0]}"
    elif len(leaders) > 1:
        said = f"{people} people are split between {', '.join(leaders[:-1])} and {leaders[-1]}"
    else:
        said = f"{'all' if most == people else most} {'' if most == people else 'of '}{people} said {leaders[0]}"
    if probs is None or not np.isfinite(probs).all():
        return said
    top = int(probs.argmax())
    agrees = people > 0 and leaders == [classes[top]]
    return f"{said}, the model {'too, but only' if agrees else 'says ' + classes[top]} {probs[top]:.0%}"


def _trust(
    said: csr_matrix,
    table: NDArray[np.float64],
    model: NDArray[np.float64],
    consensus: NDArray[np.int64],
    temperature: float,
) -> Trust:
    """Everybody's weight, learned from the samples with several votes; ``said`` (n, w * k), ``consensus`` (n,)."""
    k = table.shape[1]
    people = table.sum(axis=1)
    several = people > 1
    settled = consensus[several]
    accuracy = float((table[several, settled] / people[several]).mean())
    blind = max(1 - np.bincount(settled).max() / len(settled), LEAST)
    cells = said.tocoo()
    person = cells.col // k
    agreeing = np.bincount(person, cells.data * (table[cells.row, cells.col % k] - 1), minlength=said.shape[1] // k)
    others = np.bincount(person, cells.data * (people[cells.row] - 1), minlength=said.shape[1] // k)
    agreement = np.divide(agreeing, others, out=np.full(len(others), np.nan), where=others > 0)
    agreement[others == 0] = agreement[others > 0].mean()
    annotators = np.maximum(1 - (1 - agreement) / blind, LEAST)
    judged = np.isfinite(model).all(axis=1) & several
    wrong = float((model[judged].argmax(axis=1) != consensus[judged]).mean()) if judged.any() else 1.0
    weight = max(1 - wrong / blind, LEAST) * float(np.sqrt(people.mean()))
    return Trust(annotators, float(annotators.mean()), weight, accuracy, temperature)


def _weighed(
    said: csr_matrix, model: NDArray[np.float64], trust: Trust
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What people and model say together (n, k), rows sum to 1, and the weight (n,) that has spoken."""
    k = model.shape[1]
    votes = np.asarray(said @ (trust.annotators[:, None, None] * np.eye(k)).reshape(-1, k))
    weight = votes.sum(axis=1)
    elsewhere = (1 - trust.accuracy) / max(k - 1, 1)
    total = elsewhere * weight[:, None] + (trust.accuracy - elsewhere) * votes
    speaks = np.isfinite(model).all(axis=1)
    total[speaks] += trust.model * model[speaks]
    weight = weight + trust.model * speaks
    return total / weight[:, None], weight


def _drawn(quality: NDArray[np.float64], weight: NDArray[np.float64], trust: Trust, k: int) -> NDArray[np.float64]:
    """``quality`` drawn towards ``1 / k`` by one more average annotator."""
    drawn: NDArray[np.float64] = (quality * weight + trust.mean / k) / (weight + trust.mean)
    return drawn


def _softened(probs: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """``probs`` with their logits divided by ``temperature``; rows of NaN stay."""
    logits = np.log(np.maximum(probs, LEAST)) / temperature
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    softened: NDArray[np.float64] = raised / raised.sum(axis=1, keepdims=True)
    return softened


def _temperature(table: NDArray[np.float64], probs: NDArray[np.float64]) -> float:
    """The temperature under which ``probs`` have the least cross-entropy to the vote shares; 1 without any."""
    speaks = np.isfinite(probs).all(axis=1)
    if not speaks.any():
        return 1.0
    shares = table[speaks] / table[speaks].sum(axis=1, keepdims=True)

    def loss(exponent: float) -> float:
        return -float(
            (shares * np.log(np.maximum(_softened(probs[speaks], np.exp(exponent)), LEAST))).sum(axis=1).mean()
        )

    found = minimize_scalar(loss, bounds=(np.log(COLDEST), np.log(HOTTEST)), method="bounded", options={"xatol": 1e-3})
    return float(np.exp(found.x))


def _checked(probs: Floats | None, n: int, k: int) -> NDArray[np.float64]:
    """``probs`` as float64 (n, k); rows that are no answer become NaN throughout, and all of them without a model."""
    if probs is None:
        return np.full((n, k), np.nan)
    if probs.shape != (n, k):
        raise DataError(f"Predictions have the shape {probs.shape}; expected {(n, k)}.")
    found = np.asarray(probs, dtype=np.float64)
    usable = np.isfinite(found).all(axis=1) & (found.sum(axis=1) > 0)
    return np.where(usable[:, None], found, np.nan)
