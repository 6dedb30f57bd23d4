"""Texts that people wrote about data (licences, consent), as they may be passed on: no name, no file, no address."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emolab.records import Sample

#: Texts of one kind that are repeated for a source, and their length.
TEXTS, LONGEST = 3, 160
PERSONAL = re.compile(
    r"\S+@\S+|(?:[A-Za-z]:)?(?:[/\\][^\s/\\]+){2,}|\S+\.(?:jpe?g|png|bmp|webp|gif|mp4|mov|avi|zip)\b", re.I
)


def texts_of(pairs: Sequence[tuple[Sample, str | None]], hidden: Collection[str]) -> dict[str, Any]:
    """The most frequent texts with their number of samples, how many other texts there are, how many samples have none.

    A text that belongs to one person or session of several is theirs, and is counted among the others.
    """
    groups: dict[str, set[str | None]] = {}
    for sample, text in pairs:
        if text and text.strip():
            groups.setdefault(text.strip(), set()).add(sample.group)
    several = len({sample.group for sample, _ in pairs if sample.group}) > 1
    shown = [text for text, some in groups.items() if not several or len(some) > 1 or None in some]
    counted = Counter((text or "").strip() for _, text in pairs)
    most = sorted(shown, key=lambda text: -counted[text])[:TEXTS]
    return {
        "texts": [{"text": clean(text, hidden), "samples": counted[text]} for text in most],
        "others": len(groups) - len(most),
        "none": counted[""],
    }


def clean(text: str, hidden: Collection[str] = ()) -> str:
    """``text`` on one line, shortened, without addresses, files and the names in ``hidden``.

    >>> clean("Signed by ann (ann@lab.org), form in /home/ann/form.pdf", ["ann"])
    'Signed by [name] [...] form in [...]'
    """
    plain = PERSONAL.sub("[...]", " ".join(text.split()))
    for name in sorted({word for word in hidden if len(word) > 1 and word in plain}, key=len, reverse=True):
        plain = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "[name]", plain)
    return plain if len(plain) <= LONGEST else f"{plain[: LONGEST - 1]}…"
