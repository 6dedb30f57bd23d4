"""Who differs with whom, and about which samples a team differs most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_matrix

from emolab.labeling.labels import set_agreement
from emolab.votes.table import answers, counts, several

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emolab.records import VoteTable


@dataclass(frozen=True)
class PairAgreement:
    """Two annotators: how many samples both voted on (``shared``), and on how many of them alike (``same``)."""

    one: str
    other: str
    shared: int
    same: int


def by_pair(votes: VoteTable) -> list[PairAgreement]:
    """Every two annotators who share a sample, in the order of ``votes.annotators``.

    Answers with several labels are alike where both name the same ones.
    """
    if several(votes):
        return _pairs_of_sets(votes)
    w, k = len(votes.annotators), len(votes.classes)
    said = answers(votes)
    said.data[:] = 1.0  # whether somebody said it, not how often
    everybody = csr_matrix(np.kron(np.eye(w), np.ones((k, 1))))
    voted = said @ everybody
    voted.data[:] = 1.0
    shared = (voted.T @ voted).toarray()
    same = np.zeros((w, w))
    for c in range(k):
        alike = said[:, np.arange(w) * k + c]
        same += (alike.T @ alike).toarray()
    return [
        PairAgreement(votes.annotators[a], votes.annotators[b], int(shared[a, b]), int(min(same[a, b], shared[a, b])))
        for a in range(w)
        for b in range(a + 1, w)
        if shared[a, b]
    ]


def _pairs_of_sets(votes: VoteTable) -> list[PairAgreement]:
    sets = set_agreement.answer_sets(votes)
    pairs = set_agreement.answer_pairs(sets)
    alike: dict[tuple[int, int], dict[int, bool]] = {}
    for row, other, same in zip(pairs.one.tolist(), pairs.other.tolist(), (pairs.alike == 1.0).tolist(), strict=True):
        a, b, sample = int(sets.annotator[row]), int(sets.annotator[other]), int(sets.sample[row])
        if a < b:
            each = alike.setdefault((a, b), {})
            each[sample] = each.get(sample, False) or same
    return [
        PairAgreement(votes.annotators[a], votes.annotators[b], len(each), sum(each.values()))
        for (a, b), each in sorted(alike.items())
    ]


def most_disputed(votes: VoteTable, n: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Rows of up to ``n`` of ``votes.samples`` on which people differ most, and by how much each.

    That is the chance (0..1) that two of the people who voted on it said different things, of which the observed
    disagreement of Krippendorff's alpha is made. Of equals those with more votes come first. Where answers hold several
    labels it is how far two of them are apart on average (1 - MASI).
    """
    table = counts(votes)
    people = table.sum(axis=1)
    pairs = people * (people - 1)
    differing = np.divide(people**2 - (table**2).sum(axis=1), pairs, out=np.zeros(len(table)), where=pairs > 0)
    if several(votes):
        sets = set_agreement.answer_sets(votes)
        both = set_agreement.answer_pairs(sets)
        of = sets.sample[both.one]
        many = np.bincount(of, minlength=len(table))
        apart = np.bincount(of, 1.0 - both.alike, minlength=len(table))
        differing = np.divide(apart, many, out=np.zeros(len(table)), where=many > 0)
    rows = np.lexsort((np.arange(len(table)), -people, -differing))[:n]
    rows = rows[differing[rows] > 0]
    return rows.astype(np.int64), differing[rows]
