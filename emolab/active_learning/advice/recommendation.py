"""The advice in one sentence: label on, ask again about doubtful labels, or stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from emolab.active_learning.advice.advice import Finding, Purchase, Relabelling
    from emolab.active_learning.advice.power_law import Interval

#: A gain that is not larger than this at the upper end of its interval is not worth a round, in shares of 1.
NOTHING = 0.003
#: One way is called better than another when it buys this many times as much per vote.
CLEARLY = 1.25


class Recommendation(NamedTuple):
    """The advice in a sentence, and as a word."""

    sentence: str
    action: Literal["label", "relabel", "stop"]


def recommend(found: Finding, purchase: Purchase) -> Recommendation:
    """What to do next, given what ``purchase``, the next round, would buy."""
    if found.reached and found.ceiling is not None:
        return Recommendation(
            f"Stop: the model gives {share(found.accuracy)} of the labels, and people agree too little for more than "
            f"{share(found.ceiling.label)}; more votes per sample would raise that.",
            "stop",
        )
    if found.relabelling is not None and len(found.relabelling.doubtful.rows):
        return _compared(purchase, found.relabelling)
    if _nothing(purchase.gain):
        return Recommendation(f"{_buys(purchase)}: stop.", "stop")
    return Recommendation(f"{_buys(purchase)}: label on{_open(purchase.gain)}.", "label")


def _compared(purchase: Purchase, relabelling: Relabelling) -> Recommendation:
    """Votes on new samples against more votes on doubtful labels, by what a vote buys either way."""
    n = len(relabelling.doubtful.rows)
    buys, gain = _buys(purchase), points(relabelling.gain)
    right = f"{relabelling.votes:,} on {n:,} doubtful label{'s' if n != 1 else ''}"
    if _nothing(purchase.gain) and _nothing(relabelling.gain):
        return Recommendation(f"Stop: {buys}, and {right} {gain}.", "stop")
    if _unseen(purchase.gain) and _unseen(relabelling.gain):
        return Recommendation(f"{buys}, and {right} {gain}: no gain can be seen, and none ruled out.", "label")
    labelling, putting_right = purchase.gain.value / purchase.votes, relabelling.gain.value / relabelling.votes
    if putting_right > CLEARLY * labelling:
        return Recommendation(f"{buys}, but {right} {gain}, more per vote: look at those first.", "relabel")
    if labelling > CLEARLY * putting_right:
        said = f"{buys}, more per vote than {right}, {gain}: label on{_open(purchase.gain)}."
    else:
        said = f"{buys}, and {right} about as much per vote, {gain}: do both{_open(purchase.gain)}."
    return Recommendation(said, "label")


def points(gain: Interval) -> str:
    """A gain in points of accuracy with half its interval.

    >>> from emolab.active_learning.advice.power_law import Interval
    >>> points(Interval.around(0.006, 0.004))
    '+0.6 ± 0.4 points'
    """
    return f"{100 * gain.value:+.1f} ± {50 * (gain.high - gain.low):.1f} points"


def share(figure: Interval) -> str:
    """An accuracy with its interval.

    >>> from emolab.active_learning.advice.power_law import Interval
    >>> share(Interval(0.71, 0.68, 0.735))
    '71 % (68 to 74)'
    """
    return f"{100 * figure.value:.0f} % ({100 * figure.low:.0f} to {100 * figure.high:.0f})"


def _nothing(gain: Interval) -> bool:
    return gain.high <= NOTHING


def _unseen(gain: Interval) -> bool:
    """Whether a gain is 0.0 points, as they are written."""
    return gain.value < 0.0005


def _open(gain: Interval) -> str:
    """What to add where a gain may as well be none."""
    return ", though it may be nothing" if gain.low <= 0 and not _nothing(gain) else ""


def _buys(purchase: Purchase) -> str:
    return f"{purchase.votes:,} more votes buy {points(purchase.gain)}"
