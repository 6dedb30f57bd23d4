"""How far annotators agree where an answer may hold several labels: sets of labels are compared, two people at a time.

Two sets are alike by MASI (Passonneau 2006, "Measuring agreement on set-valued items (MASI) for semantic and pragmatic
annotation"): the share of their labels that both have, times 1 where they are the same set, 2/3 where one holds the
other, 1/3 where they only overlap, and 0 where they share nothing. With one label each it is 1 or 0, as without sets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from emolab.votes.table import whole

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emolab.records import VoteTable


@dataclass(frozen=True)
class AnswerSets:
    """One row for each person's answer: its ``sample`` (a,), ``annotator`` (a,), and which classes it names (a, k)."""

    sample: NDArray[np.int64]
    annotator: NDArray[np.int64]
    named: NDArray[np.bool_]


@dataclass(frozen=True)
class AnswerPairs:
    """Every two answers of different people about one sample, in both orders: rows ``one`` and ``other`` (p,).

    ``weight`` (p,) is 1 / (m - 1) with m answers about the sample, so that each answer counts once; ``alike`` (p,) is
    MASI, 0..1.
    """

    one: NDArray[np.int64]
    other: NDArray[np.int64]
    weight: NDArray[np.float64]
    alike: NDArray[np.float64]


def answer_sets(votes: VoteTable) -> AnswerSets:
    """The answers behind ``votes``: rows that weigh a part of a person are one answer of that person about a sample."""
    part = votes.weight != np.floor(votes.weight)
    key = votes.sample.astype(np.int64) * max(len(votes.annotators), 1) + votes.annotator
    _, first, place = np.unique(key[part], return_index=True, return_inverse=True)
    people = whole(np.bincount(place, votes.weight[part], minlength=len(first)))
    own = np.arange(len(first) + int((~part).sum()))
    number = np.empty(len(key), dtype=np.int64)
    number[part], number[~part] = own[: len(first)][place], own[len(first) :]
    named = np.zeros((len(own), len(votes.classes)), dtype=bool)
    named[number, votes.label] = True
    sample, annotator = np.empty(len(own), np.int64), np.empty(len(own), np.int64)
    sample[number], annotator[number] = votes.sample, votes.annotator
    times = np.concatenate([people, votes.weight[~part]]).astype(np.int64)
    return AnswerSets(np.repeat(sample, times), np.repeat(annotator, times), np.repeat(named, times, axis=0))


def masi(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How alike sets (p, k) of classes are, row by row, 0..1; no row may be empty.

    >>> masi(np.array([[1, 1, 0]], bool), np.array([[1, 0, 0]], bool)).round(3).tolist()
    [0.333]
    """
    both, either = (one & other).sum(axis=1), (one | other).sum(axis=1)
    smaller = np.minimum(one.sum(axis=1), other.sum(axis=1))
    kind = np.select([both == either, both == smaller, both > 0], [1.0, 2 / 3, 1 / 3], 0.0)
    found: NDArray[np.float64] = kind * both / either
    return found


def answer_pairs(sets: AnswerSets) -> AnswerPairs:
    """Every two answers about one sample."""
    order = np.argsort(sets.sample, kind="stable")
    _, start, size = np.unique(sets.sample[order], return_index=True, return_counts=True)
    m = np.repeat(size, size)  # of every answer, in order
    one = np.repeat(np.arange(len(order)), m)
    step = np.arange(len(one)) - np.repeat(np.cumsum(m) - m, m)
    other = np.repeat(np.repeat(start, size), m) + step
    apart = one != other
    weight = 1.0 / np.maximum(np.repeat(m, m)[apart] - 1, 1)
    one, other = order[one[apart]], order[other[apart]]
    return AnswerPairs(one, other, weight, masi(sets.named[one], sets.named[other]))


def patterns(votes: VoteTable) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of the samples with two answers and more how often each distinct set was given (n, s), and how far two sets are
    apart (s, s): 1 - MASI."""
    sets = answer_sets(votes)
    distinct, which = np.unique(sets.named, axis=0, return_inverse=True)
    s = len(distinct)
    table = np.bincount(sets.sample * s + which.ravel(), minlength=len(votes.samples) * s).astype(np.float64)
    table = table.reshape(len(votes.samples), s)
    left, right = np.repeat(np.arange(s), s), np.tile(np.arange(s), s)
    apart = 1.0 - masi(distinct[left], distinct[right]).reshape(s, s)
    return table[table.sum(axis=1) >= 2], apart


def class_counts(votes: VoteTable) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """By class: answers that name it (k,); pairs of which the one names it and the other does too (k,); and pairs
    (k, k) of which the one names the row and the other names the column, but not the row. Each answer counts once."""
    sets = answer_sets(votes)
    pairs = answer_pairs(sets)
    one, other = sets.named[pairs.one], sets.named[pairs.other]
    weight = pairs.weight[:, None]
    same = (weight * (one & other)).sum(axis=0)
    instead = np.zeros((len(votes.classes),) * 2)
    for c in range(len(votes.classes)):
        mine = one[:, c] & ~other[:, c]
        instead[c] = (weight[mine] * other[mine]).sum(axis=0)
    missed = (weight * (one & ~other)).sum(axis=0)
    np.fill_diagonal(instead, 0.0)
    return sets.named.sum(axis=0), np.stack([same, missed]), instead


def people_counts(votes: VoteTable) -> list[dict[str, Any]]:
    """For each annotator: ``votes``, those ``shared`` with others, how ``alike`` (sum of MASI), and the ``confusion``
    (k, k): rows what others said, columns what was said here. Labels that both sets hold are on the diagonal; the rest
    of an answer's one vote goes to what only the one and only the other said."""
    sets = answer_sets(votes)
    pairs = answer_pairs(sets)
    k, w = len(votes.classes), len(votes.annotators)
    who = sets.annotator[pairs.one]
    here, there = sets.named[pairs.one], sets.named[pairs.other]
    both, mine, theirs = here & there, here & ~there, there & ~here
    found = []
    for person in range(w):
        rows = who == person
        weight = pairs.weight[rows]
        own, share = mine[rows], here[rows].sum(axis=1)
        other = np.where(theirs[rows].any(axis=1)[:, None], theirs[rows], there[rows])
        spread = (weight / share)[:, None]
        confusion = (other / other.sum(axis=1, keepdims=True)).T @ (spread * own)
        confusion[np.arange(k), np.arange(k)] += (spread * both[rows]).sum(axis=0)
        found.append(
            {
                "votes": int((sets.annotator == person).sum()),
                "shared": round(float(weight.sum())),
                "alike": float((weight * pairs.alike[rows]).sum()),
                "confusion": confusion,
            }
        )
    return found
