"""Too little to learn from, in words and by class."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

#: With fewer training samples than this a class is hardly learnt.
FEWEST = 10


def before_training(composition: Sequence[Mapping[str, Any]]) -> list[str]:
    """What a training is short of; ``composition`` has ``class``, ``train`` and ``valid`` (samples) per class.

    >>> before_training([{"class": "happy", "train": 40, "valid": 9}, {"class": "sad", "train": 0, "valid": 2}])
    ['No training samples of sad (2 held out): the model cannot learn it.']
    """
    counts = {str(row["class"]): (int(row["train"]), int(row["valid"])) for row in composition}
    none = [in_words(name, 0, held) for name, (train, held) in counts.items() if not train]
    few = [in_words(name, train, held) for name, (train, held) in counts.items() if 0 < train < FEWEST]
    train, held = (sum(pair[i] for pair in counts.values()) for i in (0, 1))
    said = []
    if none:
        said.append(f"No training samples of {', '.join(none)}: the model cannot learn {_them(none)}.")
    if few:
        said.append(
            f"Fewer than {FEWEST} training samples of {', '.join(few)}: the model will hardly learn {_them(few)}."
        )
    if held > train:
        said.append(f"Only {train:,} samples to train on, and {held:,} are held out to judge the model.")
    return said


def in_words(name: str, train: int, held: int) -> str:
    """A class with its samples to train on and those held out.

    >>> in_words("happy", 4, 1)
    'happy (4, 1 held out)'
    """
    parts = [f"{train:,}"] if train else []
    parts += [f"{held:,} held out"] if held else []
    return f"{name} ({', '.join(parts)})" if parts else name


def _them(names: Iterable[str]) -> str:
    return "it" if len(list(names)) == 1 else "them"
