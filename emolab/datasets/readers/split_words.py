"""What folders and columns call the three splits: known words, words that only look like it, and what a user says."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import islice

from emolab.errors import DataError
from emolab.modalities.problems import shown
from emolab.records import SPLITS

_FILLER = "fer2013|ferplus|fer|data|dataset|images?|imgs?|faces?|set|split|samples?|files?|pictures?|photos?"
_KNOWN = {
    "train": "train|training",
    "valid": "valid|val|validation|dev|development|publictest",
    "test": "test|testing|eval|evaluation|privatetest",
}
_PATTERNS = {split: re.compile(rf"(?:{_FILLER})*(?:{words})(?:{_FILLER})*") for split, words in _KNOWN.items()}
_ELSEWHERE = {"训练": "train", "训练集": "train", "验证": "valid", "验证集": "valid", "测试": "test", "测试集": "test"}
_SUSPECTS = """
train training trn valid validation val vali dev devel test tests testing tst eval evaluation
fold folds kfold split splits holdout heldout unseen partition
"""
_SUSPECT = frozenset(_SUSPECTS.split())

#: The option that every reader of splits has, and its help.
OPTION = "splits"
HELP = "what the dataset calls its splits: WORD=train,WORD=test; none lets emolab assign one"


def split_of(word: str) -> str | None:
    """The split that a folder or a value names without doubt, or ``None``.

    >>> [split_of(word) for word in ("Public Test", "train_set", "FER2013Test", "Training Data", "happy", "train_1")]
    ['valid', 'train', 'test', 'train', None, None]
    """
    key = _key(word)
    return _ELSEWHERE.get(key) or next((name for name, known in _PATTERNS.items() if known.fullmatch(key)), None)


def looks_like_split(word: str) -> bool:
    """Whether a folder called ``word`` likely is a split, although emolab cannot tell which.

    >>> [looks_like_split(word) for word in ("train_1", "fold3", "HoldOut", "trainval", "happy", "S01", "contest")]
    [True, True, True, True, False, False, False]
    """
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", unicodedata.normalize("NFC", word))
    words = re.findall(r"[^\W\d_]+", spaced.lower())
    return (
        any(each in _SUSPECT or each.startswith("train") for each in words)
        or _key(word) in _SUSPECT
        or bool(re.search("hold.?out|held.?out", word.lower()))
    )


class SplitWords:
    """The words of one dataset: those that ``options`` name under :data:`OPTION`, then the known ones.

    Raises :class:`DataError` for an option that is not ``WORD=SPLIT,...``.
    """

    def __init__(self, options: Mapping[str, str]) -> None:
        self._given: dict[str, str | None] = {}
        for pair in filter(None, (part.strip() for part in options.get(OPTION, "").split(","))):
            word, equals, split = (part.strip() for part in pair.rpartition("="))
            if not equals or not word or split not in (*SPLITS, "none"):
                raise DataError(
                    f'splits="{options[OPTION]}" is not understood at "{pair}".',
                    hint="Example: -o splits=Holdout=test,Extra=none (train, valid, test or none)",
                )
            self._given[_key(word) or word] = None if split == "none" else split

    def knows(self, word: str) -> bool:
        """Whether it is clear which split ``word`` names."""
        return (_key(word) or word) in self._given or split_of(word) is not None

    def of(self, word: str) -> str | None:
        """The split that ``word`` names; ``None`` for one that was said to be none."""
        key = _key(word) or word
        return self._given[key] if key in self._given else split_of(word)

    def suspects(self, word: str) -> bool:
        """Whether ``word`` looks like a split, and it is not clear which."""
        return not self.knows(word) and looks_like_split(word)

    def unknown(self, where: str, words: Iterable[str]) -> DataError:
        """The error for values of a column that name no split: ``words`` are all values from the first unknown on."""
        counts = Counter(word for word in words if word and not self.knows(word))
        seen = ", ".join(f'"{shown(word)}" ({n:,} {"row" if n == 1 else "rows"})' for word, n in counts.most_common(6))
        more = f" and {len(counts) - 6} more" if len(counts) > 6 else ""
        return DataError(
            f"{where} holds what names no split: {seen}{more}.",
            hint=f"Expected words like train, valid and test. Say what they are: {example(counts)}",
        )


def example(words: Iterable[str]) -> str:
    """What to type for ``words``, with dots where only a person knows."""
    pairs = ",".join(f"{shown(word)}=..." for word in islice(words, 3))
    return f'-o "splits={pairs}" with train, valid, test, or none to have one assigned'


def _key(word: str) -> str:
    return "".join(sign for sign in unicodedata.normalize("NFC", word).lower() if sign.isalnum())
