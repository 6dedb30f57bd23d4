"""What the ledger must hold after what people pressed: worked out from the journal, without the product's code."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emolab.records import Vote
    from tests.support.studio_screen import Press

STARS = 3


def standing(journal: Iterable[Press]) -> dict[tuple[int, str], list[Press]]:
    """By person and sample: the answers and skips that still stand, in the order they were first made."""
    kept: dict[int, Press] = {}
    for press in journal:
        if press.action == "delete":
            kept.pop(press.annotation, None)
        else:
            kept[press.annotation] = press  # an update keeps its place: it is the same answer
    found: dict[tuple[int, str], list[Press]] = defaultdict(list)
    for press in kept.values():
        found[press.person, press.sample].append(press)
    return found


def compare(journal: Sequence[Press], ledger: Sequence[Vote], names: Mapping[int, str]) -> list[str]:
    """What is wrong in the ledger (all active votes, rejected ones too), one line each; empty: all is well.

    ``names`` are the pseudonyms by user number. Only samples of the journal are looked at.
    """
    wrong: list[str] = []
    touched = {press.sample for press in journal}
    by_place: dict[tuple[str, str], list[Vote]] = defaultdict(list)
    for vote in ledger:
        if vote.sample_id in touched:
            by_place[vote.annotator, vote.sample_id].append(vote)
    expected = {(names.get(who, f"user {who}"), s): made for (who, s), made in standing(journal).items()}
    for place in sorted(by_place.keys() | expected.keys()):
        wrong += [f"{place[0]} on {place[1][:8]}: {line}" for line in _wrong(expected.get(place, []), by_place[place])]
    return wrong


def skips(journal: Iterable[Press]) -> Counter[int]:
    """How many skips of each person stand."""
    return Counter(who for (who, _), made in standing(journal).items() for p in made if p.action == "skip")


def _wrong(made: Sequence[Press], votes: Sequence[Vote]) -> Iterable[str]:
    answers = [press for press in made if press.action == "answer"]
    counted = [vote for vote in votes if vote.rejected is None and vote.label is not None]
    skipped = sum(press.action == "skip" for press in made)
    if (found := sum(vote.label is None for vote in votes)) != skipped:
        yield f"{skipped} skips were pressed, the ledger has {found}"
    if len(votes) != len(made):
        yield f"{len(made)} deeds stand, the ledger has {len(votes)}"
    if len(counted) != min(1, len(answers)):
        reasons = sorted(str(vote.rejected) for vote in votes)
        yield f"{len(answers)} answers were given and {len(counted)} votes count ({reasons})"
    if answers and counted:
        yield from _differs(answers[-1], counted[0])


def _differs(press: Press, vote: Vote) -> Iterable[str]:
    if vote.label != press.label:
        yield f"{press.label} was pressed, {vote.label} counts"
    if vote.second != press.second:
        yield f"the second guess was {press.second}, not {vote.second}"
    stars = None if vote.confidence is None else round(vote.confidence * STARS)
    if stars != press.confidence:
        yield f"{press.confidence} stars were given, not {stars}"
    if vote.extra != dict(press.extra):
        yield f"the team's questions were answered {dict(press.extra)}, not {vote.extra}"
    if vote.shown != (press.shown or ""):
        yield f"the form began with {press.shown or 'nothing'}, the ledger says {vote.shown!r}"
    if vote.lead_time is None or not 0 < vote.lead_time <= press.seconds + 1:
        yield f"it took at most {press.seconds:.1f} s, not {vote.lead_time} s"
