"""Classes, aliases and meta labels. A label travels by name; numbers exist only inside arrays."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from emolab.errors import ConfigError, UnknownName

#: Answers that are not emotions: kept as votes, never trained on.
META = ("unknown", "no_face", "multiple")

#: The eight classes of FER+ (Barsoum et al. 2016) and the seven of FER2013 (Goodfellow et al. 2013).
PRESETS: dict[str, tuple[str, ...]] = {
    "ferplus8": ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"),
    "ekman7": ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear"),
}

#: As many as there are keys that mean nothing else in Label Studio, less the two for "unknown" and "no face".
MOST_CLASSES = 29

_ALIASES = {
    "happiness": "happy joy joyful happyness hap ha glad smile smiling",
    "sadness": "sad unhappy sa",
    "anger": "angry ang an mad",
    "surprise": "surprised surprize sur su astonishment astonished ps pleasant_surprise pleasant_surprised",
    "fear": "fearful afraid scared fea fe af",
    "disgust": "disgusted dis di",
    "contempt": "contemptuous con scorn",
    "neutral": "neutrality natural neu ne none_emotion calm_neutral",
    "no_face": "nf noface not_a_face not_face nonface non_face",
    "unknown": "uncertain unsure dont_know unk",
    "multiple": "multiple_faces several",
}
ALIASES: dict[str, str] = {alias: name for name, words in _ALIASES.items() for alias in words.split()}

#: Letters that a class name or an alias needs to be proposed for a name that looks like it.
PROPOSING = 4
_NEGATIONS = frozenset(("not", "no", "non", "without", "anti"))

#: Every word with a meaning of its own: what :func:`canonical` may answer for a known label.
KNOWN = frozenset((*_ALIASES, *META))


def canonical(name: str) -> str:
    """``name`` in lower case with underscores, an alias by its usual spelling (``Happy``: ``happiness``).

    The two Unicode forms of one letter (as macOS and other systems write it) are one.
    """
    key = "_".join(unicodedata.normalize("NFC", name).strip().lower().replace("-", " ").replace("_", " ").split())
    return ALIASES.get(key, key)


def resolve(name: str, classes: Sequence[str]) -> str | None:
    """The class or meta label that ``name`` means, or ``None`` when it is neither.

    A class of the project always wins over an alias, so a project may have a class called ``calm`` or ``happy``.
    """
    if name in classes:
        return name
    folded = {c.lower(): c for c in classes}
    if name.strip().lower() in folded:
        return folded[name.strip().lower()]
    wanted = canonical(name)
    by_meaning = {canonical(c): c for c in classes}
    if wanted in by_meaning:
        return by_meaning[wanted]
    return wanted if wanted in META else None


def parse_classes(text: str) -> tuple[str, ...]:
    """The classes a preset name or a comma-separated list stands for.

    Raises :class:`UnknownName` for a single word that is no preset and :class:`ConfigError` for a bad list.
    """
    if text in PRESETS:
        return PRESETS[text]
    names = [part.strip() for part in text.split(",")]
    if len(names) == 1:
        raise UnknownName("set of classes", text, PRESETS, hint="Or give at least two names: --classes happy,sad,other")
    return check_classes(names)


def check_classes(names: Iterable[str]) -> tuple[str, ...]:
    """``names`` as a tuple when they can be classes: at least two, distinct, plain words, no meta label."""
    classes = tuple(names)
    if len(classes) < 2:
        raise ConfigError(f"A project needs at least two classes, got {len(classes)}.")
    if len(classes) > MOST_CLASSES:
        raise ConfigError(
            f"A project holds at most {MOST_CLASSES} classes, got {len(classes)}: "
            "the form in Label Studio has one key for each.",
            hint="Name fewer (classes in emolab.toml, or --classes), for example rare ones together as one.",
        )
    for name in classes:
        if not name or not all(ch.isalnum() or ch in "_- " for ch in name) or name != name.strip():
            raise ConfigError(f'"{name}" cannot be a class name: use letters, digits, "_", "-" and single spaces.')
        if canonical(name) in META:
            raise ConfigError(f'"{name}" is a meta label, not a class: every project has {", ".join(META)} anyway.')
    meanings: dict[str, str] = {}
    for name in classes:
        other = meanings.setdefault(canonical(name), name)
        if other != name or classes.count(name) > 1:
            raise ConfigError(f'Classes "{other}" and "{name}" mean the same; keep one of them.')
    return classes


def nearest(name: str, classes: Sequence[str]) -> str | None:
    """The class that ``name`` most likely means, to be proposed, or ``None`` when there is no good reason for any.

    Reasons are a word of ``name`` that is a class or a usual word for it, and such a word with one letter wrong,
    missing or too many, but the first. Words of less than four letters prove nothing.

    >>> nearest("02-happy faces", PRESETS["ekman7"]), nearest("suprise", PRESETS["ekman7"])
    ('happiness', 'surprise')
    >>> nearest("hate", PRESETS["ekman7"]), nearest("not happy", PRESETS["ekman7"])
    (None, None)
    """
    spellings = {canonical(c): c for c in classes}
    spellings |= {alias: c for c in classes for alias in _ALIASES.get(canonical(c), "").split()}
    key = "_".join(re.findall(r"[^\W\d_]+", unicodedata.normalize("NFC", name).lower()))
    words = {key, *key.split("_")}
    if words & _NEGATIONS:
        return None
    named = {c for word, c in spellings.items() if word in words}
    long = {word: c for word, c in spellings.items() if len(word) >= PROPOSING}
    found = {c for word, c in long.items() if word in words} or {
        c for word, c in long.items() if any(_one_slip(typed, word) for typed in words)
    }
    return found.pop() if len(found | named) == 1 and found else None


def _one_slip(typed: str, word: str) -> bool:
    """Whether ``typed`` is ``word`` with one letter wrong, missing, doubled or swapped with the next, after the first.

    >>> [_one_slip(typed, "surprised") for typed in ("suprised", "surpirsed", "surprisedd", "surprised")]
    [True, True, True, False]
    """
    if typed == word or typed[:1] != word[:1] or abs(len(typed) - len(word)) > 1:
        return False
    at = next((i for i, (a, b) in enumerate(zip(typed, word, strict=False)) if a != b), min(len(typed), len(word)))
    if len(typed) != len(word):
        longer, shorter = sorted((typed, word), key=len, reverse=True)
        return longer[at + 1 :] == shorter[at:]
    rest = typed[at + 1 :] == word[at + 1 :]
    return rest or (typed[at : at + 2] == word[at : at + 2][::-1] and typed[at + 2 :] == word[at + 2 :])
