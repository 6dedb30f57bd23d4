"""Hashed n-grams of words and of letters, counted: the same sentence gives the same buckets on any machine.

Words are runs of letters and digits, or signs, in lower case; their n-grams are of neighbours. Letters are those of
whatever stands between spaces, with a space on either side, so no n-gram of letters reaches into the next word
(``char_wb`` of scikit-learn). An n-gram's bucket is the top of a 64-bit polynomial hash of its code points, mixed as
in SplitMix64 (Steele et al. 2014). All of it is integer arithmetic on arrays.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Which n-grams a bucket can hold: the lower half of all buckets are words, the upper half letters.
FAMILIES = ("words", "letters")
_WORDS = re.compile(r"\w+(?:['’]\w+)*|[!?.]+|[^\w\s]")
_REPEATED = re.compile(r"(.)\1{3,}", re.DOTALL)
_FACTOR = 0x9E3779B97F4A7C15 | 1
_MOST_BITS = 31
#: Sentences that are hashed at once.
_BATCH = 4096

Hashes = NDArray[np.uint64]


@dataclass(frozen=True, kw_only=True)
class NgramConfig:
    """Which n-grams are counted: of ``words`` and of ``letters``, shortest and longest, into ``2 ** bits`` buckets."""

    words: tuple[int, int] = (1, 2)
    letters: tuple[int, int] = (2, 5)
    bits: int = 22

    def __post_init__(self) -> None:
        if not 2 <= self.bits <= _MOST_BITS:
            raise ValueError(f"bits is {self.bits}; expected 2 to {_MOST_BITS}")
        for name in FAMILIES:
            low, high = getattr(self, name)
            if not 1 <= low <= high:
                raise ValueError(f"{name} is {(low, high)}; expected the shortest, at least 1, and the longest n-gram")


@dataclass(frozen=True, slots=True)
class NgramCounts:
    """Which buckets each of ``n`` sentences fills: one entry per sentence and bucket, sorted by both.

    ``row`` (m,) int64 indexes the sentences, ``bucket`` (m,) int64 lies in 0..2**bits - 1, ``count`` (m,) float32.
    """

    n: int
    row: NDArray[np.int64]
    bucket: NDArray[np.int64]
    count: NDArray[np.float32]

    def take(self, rows: NDArray[np.int64]) -> NgramCounts:
        """The counts of the sentences ``rows`` (positions, ascending and distinct), numbered from 0."""
        number = np.full(self.n, -1, np.int64)
        number[rows] = np.arange(len(rows))
        mine = number[self.row] >= 0
        return NgramCounts(len(rows), number[self.row[mine]], self.bucket[mine], self.count[mine])


def words_of(sentence: str) -> list[str]:
    """The words and signs of ``sentence``, in lower case; a letter or sign that is repeated counts three times at most.

    >>> words_of("Sooooo good, isn't it?!")
    ['sooo', 'good', ',', "isn't", 'it', '?!']
    """
    return _WORDS.findall(_REPEATED.sub(r"\1\1\1", sentence.lower()))


def count_ngrams(sentences: Sequence[str], config: NgramConfig) -> NgramCounts:
    """How often each n-gram's bucket occurs in each of ``sentences``."""
    parts = [_of_batch(sentences[i : i + _BATCH], config) for i in range(0, len(sentences), _BATCH)]
    rows = [part.row + i * _BATCH for i, part in enumerate(parts)]
    return NgramCounts(
        len(sentences),
        np.concatenate(rows) if parts else np.zeros(0, np.int64),
        np.concatenate([part.bucket for part in parts]) if parts else np.zeros(0, np.int64),
        np.concatenate([part.count for part in parts]) if parts else np.zeros(0, np.float32),
    )


def word_buckets(sentences: Sequence[str], config: NgramConfig) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The sentence (m,) and the bucket (m,) of every single word or sign of ``sentences``.

    Where ``config`` counts no single words, of every shortest n-gram of words.
    """
    row, hashed = next(_word_ngrams(sentences, config.words), (np.zeros(0, np.int64), np.zeros(0, np.uint64)))
    return row, (hashed >> np.uint64(65 - config.bits)).astype(np.int64)


def _of_batch(sentences: Sequence[str], config: NgramConfig) -> NgramCounts:
    half = config.bits - 1
    keys = [np.zeros(0, np.int64)]
    for family, found in enumerate((_word_ngrams(sentences, config.words), _letter_ngrams(sentences, config.letters))):
        for row, hashed in found:
            bucket = (hashed >> np.uint64(64 - half)).astype(np.int64) + (family << half)
            keys.append((row << config.bits) | bucket)
    distinct, count = np.unique(np.concatenate(keys), return_counts=True)
    return NgramCounts(
        len(sentences), distinct >> config.bits, distinct & ((1 << config.bits) - 1), count.astype(np.float32)
    )


def _word_ngrams(sentences: Sequence[str], sizes: tuple[int, int]) -> Iterator[tuple[NDArray[np.int64], Hashes]]:
    """For each size: the sentence (m,) and the hash (m,) of every n-gram of words."""
    split = [words_of(sentence) for sentence in sentences]
    row = np.repeat(np.arange(len(split)), [len(words) for words in split])
    words = [word for found in split for word in found]
    single = _hash_strings(words)
    hashed = np.zeros(len(words), np.uint64)
    for size in range(1, sizes[1] + 1):
        # The size-gram that begins at each word, where it ends within the sentence.
        start = len(words) - size + 1
        if start <= 0:
            return
        hashed = _mix(hashed[:start] * np.uint64(_FACTOR) + single[size - 1 :])
        if size >= sizes[0]:
            within = row[:start] == row[size - 1 :]
            yield row[:start][within], hashed[within]


def _letter_ngrams(sentences: Sequence[str], sizes: tuple[int, int]) -> Iterator[tuple[NDArray[np.int64], Hashes]]:
    """For each size: the sentence (m,) and the hash (m,) of every n-gram of letters."""
    split = [_REPEATED.sub(r"\1\1\1", sentence.lower()).split() for sentence in sentences]
    pieces = [f" {piece} " for found in split for piece in found]
    if not pieces:
        return
    codes = _code_points("".join(pieces))
    lengths = np.array([len(piece) for piece in pieces])
    piece_of = np.repeat(np.arange(len(pieces)), lengths)
    row = np.repeat(np.repeat(np.arange(len(split)), [len(found) for found in split]), lengths)
    hashed = np.zeros(len(codes), np.uint64)
    for size in range(1, sizes[1] + 1):
        start = len(codes) - size + 1
        if start <= 0:
            return
        hashed = hashed[:start] * np.uint64(_FACTOR) + codes[size - 1 :]
        if size >= sizes[0]:
            within = piece_of[:start] == piece_of[size - 1 :]
            yield row[:start][within], _mix(hashed[within] + np.uint64(size))


def _hash_strings(strings: Sequence[str]) -> Hashes:
    """A 64-bit hash (n,) of each of ``strings``, none of them empty."""
    if not strings:
        return np.zeros(0, np.uint64)
    codes = _code_points("".join(strings))
    lengths = np.array([len(each) for each in strings])
    start = np.cumsum(lengths) - lengths
    place = np.arange(len(codes)) - np.repeat(start, lengths)
    powers = np.cumprod(np.full(int(lengths.max()), _FACTOR, np.uint64), dtype=np.uint64)
    return _mix(np.add.reduceat(codes * powers[place], start) + lengths.astype(np.uint64))


def _code_points(text: str) -> Hashes:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)


def _mix(x: Hashes) -> Hashes:
    """Every bit of the answer depends on every bit of ``x`` (SplitMix64's finaliser)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
