"""From words with their time to sentences with theirs.

1. What nobody said is left out: where whisper thinks that nobody speaks, does not believe itself, or repeats itself.
2. The time of a word is narrowed to where voice is heard: whisper lets the first word begin in the silence before it,
   and puts the last word before a pause behind it.
3. A sentence ends with its full stop, question or exclamation mark, and where nobody speaks for a second.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from emolab.modalities.problems import Refused

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emolab.modalities.text.transcripts.whisper_folder import HeardStretch, HeardWord

#: Above this probability nobody speaks; below this log-probability the words are guessed; above this they are repeated.
SILENT, UNLIKELY, REPEATED = 0.6, -1.0, 2.4
#: Seconds without voice that end a sentence.
PAUSE = 1.0
#: Seconds for which voice activity is known, and below which a word has no length.
FRAME, _NO_LENGTH = 0.03, 0.1
_END = re.compile(r"[.!?…。！？]+[\"'”’»)\]]*$")
#: What a full stop belongs to that ends no sentence: titles and the like, single letters.
_ABBREVIATED = re.compile(r"(?:^|\W)(?:Mr|Mrs|Ms|Dr|Prof|St|Hr|Fr|Nr|vs|etc|e\.g|i\.e|z\.B|[A-Z])\.$")


@dataclass(frozen=True, slots=True)
class SpokenSentence:
    """What somebody said, from second ``begin`` to ``end`` of the recording.

    ``sure`` is the mean probability of its words, 0..1. Names are not masked.
    """

    text: str
    begin: float
    end: float
    sure: float


def disbelief(stretch: HeardStretch) -> str | None:
    """Why nobody said ``stretch``, in words; ``None`` where it is believed."""
    if stretch.silent > SILENT:
        return f"nobody speaks, with a probability of {stretch.silent:.2f}"
    if stretch.likely < UNLIKELY:
        return f"the words are guessed (mean log-probability {stretch.likely:.2f})"
    if stretch.repeats > REPEATED:
        return f"the same words again and again (compressed {stretch.repeats:.1f} times)"
    return None


def sentences(words: Sequence[HeardWord], heard: NDArray[np.bool_], *, begin: float = 0.0) -> Iterator[SpokenSentence]:
    """The sentences of ``words`` in order; ``heard`` says for each 30 ms of their part whether voice is there.

    ``begin`` is where the part begins in its recording.
    """
    said: list[HeardWord] = []
    for word in _placed(words, heard):
        if said and word.begin - said[-1].end >= PAUSE:
            yield _sentence(said, begin)
            said = []
        said.append(word)
        text = "".join(each.text for each in said).strip()
        if _END.search(text) and not _ABBREVIATED.search(text):
            yield _sentence(said, begin)
            said = []
    if said:
        yield _sentence(said, begin)


def _placed(words: Sequence[HeardWord], heard: NDArray[np.bool_]) -> Iterator[HeardWord]:
    """``words`` where voice is heard. One without length, which whisper put behind a pause, goes back before it."""
    before: tuple[float, float] | None = None  # the end of the last word, as whisper says and as it is heard
    for word in words:
        placed = _narrowed(word, heard)
        no_length = word.end - word.begin < _NO_LENGTH
        if before is not None and no_length and word.begin - before[0] < _NO_LENGTH <= PAUSE <= word.begin - before[1]:
            placed = replace(word, begin=before[1], end=before[1])
        before = word.end, placed.end
        yield placed


def _narrowed(word: HeardWord, heard: NDArray[np.bool_]) -> HeardWord:
    """``word`` where voice is heard in its time: of two places with a pause between them, where there is more of it."""
    first, last = int(word.begin / FRAME), int(np.ceil(word.end / FRAME))
    voiced = np.flatnonzero(heard[first:last])
    if not len(voiced):
        return word
    places = np.split(voiced, np.flatnonzero(np.diff(voiced) * FRAME > PAUSE) + 1)
    place = max(places, key=len)
    begin, end = (first + int(place[0])) * FRAME, (first + int(place[-1]) + 1) * FRAME
    return replace(word, begin=max(word.begin, begin), end=min(word.end, end))


def _sentence(said: Sequence[HeardWord], begin: float) -> SpokenSentence:
    return SpokenSentence(
        "".join(word.text for word in said).strip(),
        round(begin + said[0].begin, 3),
        round(begin + said[-1].end, 3),
        round(sum(word.sure for word in said) / len(said), 3),
    )


def joined(said: Sequence[SpokenSentence]) -> SpokenSentence:
    """All that was ``said`` as one sentence. Raises :class:`Refused` where nothing was."""
    if not said:
        raise Refused("nothing said", "no words were heard in it")
    sure = sum(each.sure for each in said) / len(said)
    return SpokenSentence(" ".join(each.text for each in said), said[0].begin, said[-1].end, round(sure, 3))
