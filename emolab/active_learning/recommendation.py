"""The advice in one sentence: label on, put labels right, or stop."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emolab.active_learning.advice import Finding, Mending, Purchase
    from emolab.active_learning.power_law import Interval

#: A gain that is not larger than this at the upper end of its interval is not worth a round, in shares of 1.
NOTHING = 0.003
#: One way is called better than another when it buys this many times as much per vote.
CLEARLY = 1.25


def sentence(found: Finding, purchase: Purchase) -> str:
    """What to do next, given what ``purchase``, the next round, would buy."""
    if found.reached and found.ceiling is not None:
        return (
            f"Stop: the model gives {share(found.accuracy)} of the labels, and people agree too little for more than "
            f"{share(found.ceiling.label)}; more votes per sample would raise that."
        )
    buys = f"{purchase.votes:,} more votes buy {points(purchase.gain)}"
    mending = found.mending
    if mending is None or not len(mending.doubtful.rows):
        return f"{buys}: {'stop' if _nothing(purchase.gain) else 'label on'}{_open(purchase.gain)}."
    right = f"putting {_labels(mending)} right ({mending.votes:,} votes)"
    if _nothing(purchase.gain) and _nothing(mending.gain):
        return f"Stop: {buys}, and {right} buys {points(mending.gain)}."
    per_vote = purchase.gain.value / purchase.votes, mending.gain.value / mending.votes
    if per_vote[1] > CLEARLY * per_vote[0]:
        return f"{buys}; {right} buys up to {points(mending.gain)}, more per vote: look at those first."
    if per_vote[0] > CLEARLY * per_vote[1]:
        return f"{buys}, more per vote than {right}, {points(mending.gain)}: label on{_open(purchase.gain)}."
    return f"{buys}, and {right} buys about as much per vote, {points(mending.gain)}: do both{_open(purchase.gain)}."


def points(gain: Interval) -> str:
    """A gain in points of accuracy with half its interval.

    >>> from emolab.active_learning.power_law import Interval
    >>> points(Interval.around(0.006, 0.004))
    '+0.6 ± 0.4 points'
    """
    return f"{100 * gain.value:+.1f} ± {50 * (gain.high - gain.low):.1f} points"


def share(figure: Interval) -> str:
    """An accuracy with its interval.

    >>> from emolab.active_learning.power_law import Interval
    >>> share(Interval(0.71, 0.68, 0.735))
    '71 % (68 to 74)'
    """
    return f"{100 * figure.value:.0f} % ({100 * figure.low:.0f} to {100 * figure.high:.0f})"


def _nothing(gain: Interval) -> bool:
    return gain.high <= NOTHING


def _open(gain: Interval) -> str:
    """What to add where a gain may as well be none."""
    return ", though it may be nothing" if gain.low <= 0 < gain.value and not _nothing(gain) else ""


def _labels(mending: Mending) -> str:
    n = len(mending.doubtful.rows)
    return f"{n:,} doubtful label{'s' if n != 1 else ''}"
