"""What is measured of a sentence beside what a model says of it: five numbers that show when what comes in changes.

Two of them tell what a model of n-grams cannot see: it reads small letters, and passes over words that it never met.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

#: Number of words; share of letters among all signs but spaces; share of capitals among the letters; share of the words
#: that masking put in; share of words and signs that fewer than two training sentences had.
QUALITY = ("words", "share of letters", "share of capitals", "share masked", "share unknown")
#: What masking puts in the place of a name, an address or a number.
_MASK = re.compile(r"\[[A-Z]+\]")


def measured(sentences: Sequence[str], unknown: NDArray[np.float32]) -> NDArray[np.float32]:
    """The numbers (n, 5) of ``sentences`` (n), in the order of :data:`QUALITY`; ``unknown`` (n,) is the last of them.

    >>> measured(["OK [NAME], no!"], np.zeros(1, np.float32)).round(2).tolist()
    [[3.0, 0.6700000166893005, 0.5, 0.33000001311302185, 0.0]]
    """
    found = np.zeros((len(sentences), len(QUALITY)), np.float32)
    found[:, -1] = unknown
    for row, sentence in enumerate(sentences):
        written, masks = _MASK.subn(" ", sentence)
        words = len(sentence.split())
        signs = [sign for sign in written if not sign.isspace()]
        letters = [sign for sign in signs if sign.isalpha()]
        capitals = sum(sign.isupper() for sign in letters)
        found[row, :-1] = (
            words,
            len(letters) / max(1, len(signs)),
            capitals / max(1, len(letters)),
            min(1.0, masks / max(1, words)),
        )
    return found
