"""What disagrees when copies of one image meet: votes of the copies, and splits that leak."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from emolab.datasets.splits.assign import held_out

Votes = Mapping[str, int]


def winner(votes: Votes) -> str | None:
    """The label with the most votes, ``None`` for a tie or no votes."""
    ranked = sorted(votes.items(), key=lambda item: -item[1])[:2]
    if not ranked or (len(ranked) == 2 and ranked[0][1] == ranked[1][1]):
        return None
    return ranked[0][0]


@dataclass(slots=True)
class Copies:
    """What is remembered of one sample during a merge: copies seen, and how their votes compare to the first one's."""

    votes: int
    majority: str | None
    copies: int = 1
    differ: bool = False
    differ_in_majority: bool = False
    splits: tuple[str, ...] = ()


@dataclass(slots=True)
class Ledger:
    """Compares the copies of every image within one dataset as they stream by.

    Keeps one small entry per distinct image: a hash of the first copy's votes and its winner, not the votes.
    """

    entries: dict[str, Copies] = field(default_factory=dict)
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)

    def see(self, sample_id: str, votes: Votes, split: str | None, *, before: str | None = None) -> bool:
        """Note one copy; returns whether it is the first. ``before``: the split its sample had before this merge."""
        mark, best = hash(tuple(sorted(votes.items()))), winner(votes)
        entry = self.entries.get(sample_id)
        if entry is None:
            splits = tuple(dict.fromkeys(name for name in (before, split) if name))
            self.entries[sample_id] = Copies(mark, best, splits=splits)
            return True
        entry.copies += 1
        if split and split not in entry.splits:
            entry.splits = (*entry.splits, split)
        if mark != entry.votes:
            entry.differ = True
        if best != entry.majority:
            entry.differ_in_majority = True
            first, second = sorted((entry.majority or "tie", best or "tie"))
            self.pairs[first, second] += 1
        return False

    def summary(self) -> dict[str, Any]:
        """Duplicates, conflicts and leaks as plain numbers.

        ``images`` with copies, ``surplus`` copies, ``largest`` number of copies; ``conflicts``: images whose copies got
        other votes, and how many of them another majority, with the most frequent pairs; ``leaks``: images in several
        splits, by the splits and the one that keeps them.
        """
        several = [entry for entry in self.entries.values() if entry.copies > 1]
        leaks = Counter(
            (" + ".join(sorted(entry.splits)), held_out(entry.splits))
            for entry in self.entries.values()
            if len(entry.splits) > 1
        )
        return {
            "images": len(several),
            "surplus": sum(entry.copies - 1 for entry in several),
            "largest": max((entry.copies for entry in several), default=1),
            "conflicts": {
                "images": sum(entry.differ for entry in several),
                "majority": sum(entry.differ_in_majority for entry in several),
                "pairs": [{"labels": list(pair), "images": n} for pair, n in self.pairs.most_common(5)],
            },
            "leaks": [{"splits": splits, "kept_in": kept, "images": n} for (splits, kept), n in leaks.most_common()],
        }
