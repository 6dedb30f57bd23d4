"""How far a guess on the form pulls people's answers towards it.

A share of the forms stays empty by chance. So what people say on both kinds of forms differs only by what they saw:
the difference of their agreement with the guess, shown and hidden, is what the guess does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from emolab.records import GuessedAnswer
from emolab.stats.proportions import Interval, difference

#: Answers of each kind, shown and hidden, from which on a figure says anything.
FEWEST = 10


@dataclass(frozen=True, slots=True)
class Anchoring:
    """How often somebody (``None``: the team) agreed with the guess: in ``shown`` answers and in ``hidden`` ones.

    ``with_shown`` and ``with_hidden`` are shares, NaN without an answer; ``low`` and ``high`` the 95 % interval of
    :attr:`difference`. Those of the team weigh its members so that everybody is compared with themselves alone.
    """

    annotator: str | None
    shown: int
    hidden: int
    with_shown: float
    with_hidden: float
    low: float
    high: float

    @property
    def difference(self) -> float:
        """How much more often the answer is the guess where it is shown; -1 to 1."""
        return self.with_shown - self.with_hidden

    @property
    def adoption(self) -> float:
        """The share of the shown guesses that are taken over unseen, 0 to 1.

        Who takes the guess over with probability a and else answers as on an empty form agrees with the probability
        a + (1 - a) * ``with_hidden``.
        """
        room = 1.0 - self.with_hidden
        return min(1.0, max(0.0, self.difference / room)) if room > 0 else 0.0

    @property
    def enough(self) -> bool:
        """Whether there are enough answers of both kinds to look at the figures."""
        return min(self.shown, self.hidden) >= FEWEST


def by_annotator(answers: Sequence[GuessedAnswer]) -> list[Anchoring]:
    """The figures of everybody with such answers, by name, with Newcombe's interval (1998) for two shares."""
    found: dict[str, list[GuessedAnswer]] = defaultdict(list)
    for answer in answers:
        found[answer.annotator].append(answer)
    return [_one(name, found[name]) for name in sorted(found)]


def of_team(answers: Sequence[GuessedAnswer]) -> Anchoring:
    """The figures of the whole team.

    Every member is a stratum: a member's two shares weigh n * m / (n + m) with n shown and m hidden answers, as in the
    difference of Mantel and Haenszel (Greenland & Robins 1985). So a careful member who happens to have answered more
    hidden forms cannot pass for an effect. Several people answer one sample, and a sample is easy or hard for all of
    them. So the variance is summed over samples, and Newcombe's interval is taken with the number of independent
    answers that have this variance, never more than there are (as for surveys: Korn & Graubard 1998).
    """
    both = {each.annotator for each in by_annotator(answers) if each.shown and each.hidden}
    used = [answer for answer in answers if answer.annotator in both]
    shown = np.array([answer.shown for answer in used], dtype=bool)
    if not used:
        return _one(None, answers)
    agrees = np.array([answer.said == answer.guess for answer in used], dtype=np.float64)
    _, member = np.unique([answer.annotator for answer in used], return_inverse=True)
    _, sample = np.unique([answer.sample_id for answer in used], return_inverse=True)
    n = np.stack([np.bincount(member[shown == kind], minlength=len(both)) for kind in (False, True)])
    weight = (n[0] * n[1] / (n[0] + n[1]))[member] / n[shown.astype(int), member]
    weight /= weight[shown].sum()
    means = np.stack(
        [np.bincount(member[shown == k], agrees[shown == k], minlength=len(both)) / n[int(k)] for k in (False, True)]
    )
    rest = agrees - means[shown.astype(int), member]
    size = n[shown.astype(int), member]
    rest *= np.sqrt(size / np.maximum(size - 1, 1))
    share, effective = {}, {}
    for kind in (False, True):
        mine = shown == kind
        share[kind] = float((weight * agrees)[mine].sum())
        spread = float((np.bincount(sample[mine], (weight * rest)[mine]) ** 2).sum())
        most = 1.0 / float((weight[mine] ** 2).sum())
        alike = share[kind] * (1 - share[kind]) / spread if spread > 0 else float(len(np.unique(sample[mine])))
        effective[kind] = min(most, alike)
    interval = difference(share[True], effective[True], share[False], effective[False])
    return Anchoring(None, int(shown.sum()), int((~shown).sum()), share[True], share[False], *interval)


def _one(name: str | None, answers: Sequence[GuessedAnswer]) -> Anchoring:
    shown = [answer.said == answer.guess for answer in answers if answer.shown]
    hidden = [answer.said == answer.guess for answer in answers if not answer.shown]
    if not (shown and hidden):
        one, two = (sum(each) / len(each) if each else float("nan") for each in (shown, hidden))
        return Anchoring(name, len(shown), len(hidden), one, two, *Interval(-1.0, 1.0))
    one, two = sum(shown) / len(shown), sum(hidden) / len(hidden)
    return Anchoring(name, len(shown), len(hidden), one, two, *difference(one, len(shown), two, len(hidden)))
