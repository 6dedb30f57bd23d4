"""What votes are worth that repeat a guess their annotators saw on the form. Pure: arrays and records in, weights out.

People take a shown guess over more often than they would have said it on their own. Several people who do so repeat one
opinion, the model's, and it would count once for each of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from emolab.votes import anchoring

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emolab.records import GuessedAnswer, VoteTable

#: What is done about shown guesses when labels are made: the values of ``labeling.anchoring``.
CORRECT, IGNORE = "correct", "ignore"
#: Answers' worth of the team's habits in what is believed of one annotator, and in a class of guesses.
_TEAM, _CLASS = 20.0, 10.0
_MOST = 0.95  # of the shown guesses that anybody is believed to take over


def by_setting(votes: VoteTable, guessed: Sequence[GuessedAnswer], anchoring: str) -> NDArray[np.float32] | None:
    """What :func:`weights` says where ``anchoring`` is :data:`CORRECT`; ``None`` where every vote counts as it is."""
    return weights(votes, guessed) if anchoring == CORRECT else None


def weights(votes: VoteTable, guessed: Sequence[GuessedAnswer]) -> NDArray[np.float32] | None:
    """What each vote is worth (m,), in people; ``None`` where shown guesses change nothing that can be told by now.

    1. Who takes a shown guess over with probability a, and else answers as on an empty form, says it with probability
       a + (1 - a) q, where q is how often hidden guesses of that class are said. So a vote that repeats a shown guess
       is its annotator's own opinion with probability w = (1 - a) q / (a + (1 - a) q). a is estimated for each
       annotator, drawn towards the team's while there are few answers.
    2. The rest of these votes, 1 - w each, is one opinion repeated: the model's. All of it on one sample together is
       worth at most one vote of somebody as reliable as the model: the square of how often people agree with hidden
       guesses, beside how often they agree with one another, and never more than 1 (as ``hybrid`` weighs people).

    Nothing is changed until the interval of the team's pull lies above 0. ``benchmarks/anchoring.py`` measures it.
    """
    team = anchoring.of_team(guessed)
    if not team.enough or team.low <= 0:
        return None
    adoption = {str(one.annotator): _adoption(one, team) for one in anchoring.by_annotator(guessed)}
    said_alone = _said_alone(guessed, team)
    seen = {(each.sample_id, each.annotator): each.guess for each in guessed if each.shown}
    a, q = np.zeros(len(votes.label)), np.ones(len(votes.label))
    for row, (sample, annotator, label) in enumerate(zip(votes.sample, votes.annotator, votes.label, strict=True)):
        name, guess = votes.annotators[annotator], votes.classes[label]
        if seen.get((votes.samples[sample], name)) == guess:
            a[row], q[row] = adoption[name], said_alone.get(guess, team.with_hidden)
    own = (1 - a) * q / (a + (1 - a) * q)
    repeated = np.bincount(votes.sample, (1 - own) * votes.weight, minlength=len(votes.samples))
    kept = np.minimum(repeated, _reliability(guessed)) / np.where(repeated > 0, repeated, 1.0)
    return np.asarray(votes.weight * (own + (1 - own) * kept[votes.sample]), dtype=np.float32)


def _adoption(one: anchoring.Anchoring, team: anchoring.Anchoring) -> float:
    """The share of the shown guesses that somebody takes over, drawn towards the team's."""
    shown = (one.shown * np.nan_to_num(one.with_shown) + _TEAM * team.with_shown) / (one.shown + _TEAM)
    hidden = (one.hidden * np.nan_to_num(one.with_hidden) + _TEAM * team.with_hidden) / (one.hidden + _TEAM)
    return float(np.clip((shown - hidden) / max(1 - hidden, 1e-9), 0.0, _MOST))


def _said_alone(guessed: Sequence[GuessedAnswer], team: anchoring.Anchoring) -> dict[str, float]:
    """How often people say the class that a hidden guess names, by that class; above 0."""
    said: dict[str, list[bool]] = {}
    for each in guessed:
        if not each.shown:
            said.setdefault(each.guess, []).append(each.said == each.guess)
    usual = max(team.with_hidden, 1e-3)
    return {guess: (sum(alike) + _CLASS * usual) / (len(alike) + _CLASS) for guess, alike in said.items()}


def _reliability(guessed: Sequence[GuessedAnswer]) -> float:
    """What one guess is worth beside one person, 0 to 1; 1 where no two people answered the same empty form."""
    said: dict[str, list[str]] = {}
    alike = total = 0
    for each in guessed:
        if not each.shown:
            said.setdefault(each.sample_id, []).append(each.said)
            alike, total = alike + (each.said == each.guess), total + 1
    pairs = same = 0
    for labels in said.values():
        pairs += len(labels) * (len(labels) - 1)
        same += sum(labels.count(label) - 1 for label in labels)
    if not pairs or not total:
        return 1.0
    return float(min(1.0, (alike / total) / (same / pairs)) ** 2) if same else 1.0
