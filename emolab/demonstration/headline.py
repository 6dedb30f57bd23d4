"""What the replay says, in one sentence: whatever it is, also when emolab does not save anything."""

from __future__ import annotations

from emolab.active_learning.simulation.compare import Ratio
from emolab.demonstration.replay import Replay, Saving


def headline(saving: Saving) -> str:
    """What emolab saves, as a title."""
    value = saving.ratio.value
    if value is None:
        return "Not the same accuracy for the same votes"
    if round(value, 2) < 1:
        return f"The same accuracy took {1 / value:.2f} times as many votes"
    return f"The same accuracy with {value:.2f} times fewer votes"


def interval(ratio: Ratio) -> str:
    """The 95 % interval of how many times fewer votes, where below 1 means more; in words where it has an open end."""
    if ratio.high is None:
        return "no 95 % interval: most draws of the campaigns never reach it" if ratio.never else "no interval"
    if ratio.low <= 0:
        return f"95 % interval: from not reached to {ratio.high:.2f} times fewer"
    return f"95 % interval {ratio.low:.2f} to {ratio.high:.2f}"


def minutes(seconds: float) -> str:
    """How long the demo took, on the page and on the console."""
    return f"{seconds / 60:.1f} min"


def sentence(replay: Replay, saving: Saving) -> str:
    """The figures behind the headline."""
    how = f"means of {replay.seeds} campaigns on {replay.pool:,} {replay.nouns}, judged on {replay.judge:,} others"
    if saving.votes is None:
        return (
            f"The usual way reaches an accuracy of {saving.level:.1%} with {saving.usual_votes:,.0f} votes; emolab "
            f"does not within {replay.budgets[-1]:,.0f} ({interval(saving.ratio)}; {how})."
        )
    return (
        f"An accuracy of {saving.level:.1%} takes {saving.votes:,.0f} votes with emolab and {saving.usual_votes:,.0f} "
        f"the usual way ({interval(saving.ratio)}; {how})."
    )
