"""How many people look at a sample: always the same number, or as many as it takes between two."""

from __future__ import annotations

import re
from dataclasses import dataclass

from emolab.errors import ConfigError

#: More people than this for one sample is a typing error.
MOST = 100


@dataclass(frozen=True, slots=True)
class VoteQuota:
    """Every sample gets ``low`` votes, a doubtful one up to ``high``."""

    low: int
    high: int

    @property
    def adaptive(self) -> bool:
        """Whether the votes so far decide how many more are asked for."""
        return self.high > self.low

    def __str__(self) -> str:
        """As it stands in the settings."""
        return f"{self.low}..{self.high}" if self.adaptive else f"{self.low}"


def parse(text: str, *, name: str = "labeling.votes", example: str = "--set labeling.votes=1..5") -> VoteQuota:
    """What ``labeling.votes`` says: ``"3"`` or ``"1..5"``. Raises :class:`ConfigError` for anything else.

    ``name`` and ``example`` are what it is called, and how to type it, where it comes from elsewhere.

    >>> parse("1..5"), parse("3").adaptive
    (VoteQuota(low=1, high=5), False)
    """
    found = re.fullmatch(r"\s*(\d{1,4})\s*(?:\.\.\s*(\d{1,4})\s*)?", text)
    if found is None:
        raise ConfigError(
            f'{name} is "{text}"; expected a number such as "3", or a range such as "1..5".',
            hint=f"Example: {example}",
        )
    low = int(found[1])
    high = int(found[2] or low)
    if not 1 <= low <= high <= MOST:
        raise ConfigError(
            f'{name} is "{text}"; expected LOW..HIGH with 1 <= LOW <= HIGH <= {MOST}.',
            hint=f"Example: {example}",
        )
    return VoteQuota(low, high)
