"""What further votes would buy, what more votes on doubtful labels would, and how much there is to win at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from emolab.active_learning.advice import doubtful_labels as doubtful
from emolab.active_learning.advice import learning_curve, opinions, power_law
from emolab.active_learning.advice.ceiling import ceiling, pairs
from emolab.progress import SILENT, Progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from emolab.active_learning.advice.ceiling import Ceiling
    from emolab.active_learning.advice.doubtful_labels import Doubtful
    from emolab.active_learning.advice.learning_curve import Labelled
    from emolab.active_learning.advice.power_law import Interval

#: With fewer judges or labels than this nothing is said of accuracy.
FEWEST = 40
#: Further votes on a doubted label, and what they keep of the promise of a perfect correction (benchmarks.advice).
VOTES_TO_RELABEL, KEPT = 2, 0.25


@dataclass(frozen=True)
class Purchase:
    """What ``votes`` more votes add to the accuracy, by ``labels`` more samples to learn from."""

    votes: int
    labels: float
    gain: Interval


@dataclass(frozen=True)
class Relabelling:
    """The ``doubtful`` labels, two more ``votes`` on each, and what those add to the accuracy."""

    doubtful: Doubtful
    votes: int
    gain: Interval


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What there is to say of n ``labels`` judged by ``judges`` samples: ``accuracy`` now and what changes it.

    ``ceiling`` and ``relabelling`` are ``None`` where too few samples have two votes. ``reached``: the model is as good
    as labels of so few votes can show.
    """

    labels: int
    judges: int
    accuracy: Interval
    purchases: tuple[Purchase, ...]
    ceiling: Ceiling | None
    relabelling: Relabelling | None

    @property
    def reached(self) -> bool:
        """Whether the accuracy stands at the ceiling, which its value must reach the interval of."""
        return self.ceiling is not None and self.accuracy.value >= self.ceiling.label.low


def advise(
    data: Labelled,
    counts: NDArray[np.float64],
    team: NDArray[np.float64],
    *,
    votes: Sequence[int],
    votes_per_label: float,
    rng: np.random.Generator,
    progress: Progress = SILENT,
) -> Finding:
    """What ``votes`` further votes would buy, and what to do instead.

    ``counts`` (n, k) are the votes behind the labels of ``data``; ``team`` (m, k) those of the people asked, about
    whatever samples. ``votes_per_label`` is how many votes one more sample to learn from costs. Raises
    :class:`DataError` when there is too little to judge or to learn from.
    """
    labels = int(data.teach.sum())
    law = power_law.fit(learning_curve.measure(data, rng, progress=progress), rng)
    highest = ceiling(team, rng)
    relabelling = None
    if highest is not None:
        doubted = doubtful.find(data, counts, opinions.fit(pairs(team)), rng)
        worth = labels_won(doubted, labels, counts.shape[1])
        relabelling = Relabelling(doubted, VOTES_TO_RELABEL * len(doubted.rows), law.gain(labels, worth))
    return Finding(
        labels=labels,
        judges=int(data.judge.sum()),
        accuracy=law.accuracy(labels),
        purchases=tuple(Purchase(n, n / votes_per_label, law.gain(labels, n / votes_per_label)) for n in votes),
        ceiling=highest,
        relabelling=relabelling,
    )


def labels_won(doubted: Doubtful, labels: int, k: int) -> float:
    """How many further labels two more votes on each of the doubted ones are worth.

    A share r of labels drawn at random from k classes shrinks what a label teaches by 1 - r k / (k - 1), so that n of
    them teach like n times its square (Natarajan et al. 2013, "Learning with noisy labels", for two classes). Of what
    that promises for a perfect correction, two more votes on soft labels keep about a quarter.
    """
    before, after = (max(0.05, 1 - share * k / (k - 1)) for share in (doubted.noise, doubted.noise_after))
    return KEPT * labels * ((after / before) ** 2 - 1)
