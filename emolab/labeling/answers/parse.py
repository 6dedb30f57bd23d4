"""What one answer says: emolab's own question, the guess that was on the form, and the team's own questions.

Label Studio sends a list of parts, one per control that was filled in. Only the control that emolab made is the answer.
A part begins from a shown guess or from nothing, and Label Studio's page says which in ``origin``: ``prediction`` (left
as it was), ``prediction-changed`` or ``manual``. What stood in ``meta`` of a guess stays with the answer, also when the
person chose another class; so a guess that emolab shows carries its class there. A form that is to stay empty begins
from a part without a choice, whose ``meta`` carries the guess that is hidden. So an answer tells every machine what its
form had, whoever sent the guess, and also when the prediction is gone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from emolab.labeling.answers import extra_questions as extra
from emolab.labeling.form import controls
from emolab.records import FormGuess

MARK, HIDDEN, SHARE = "emolab_guess", "emolab_hidden", "emolab_blind"
UNCHANGED = "prediction"
CHANGED = "prediction-changed"
MANUAL = "manual"
#: The name under which parts are kept that are no objects.
UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Said:
    """One answer, read.

    ``labels`` are the distinct words chosen for emolab's question, ``confidence`` is 0 to 1, ``guess`` the word that
    the form began with as far as the answer itself tells, ``hidden`` the one that an empty form kept back, ``share``
    how many were to stay empty then, ``origin`` how Label Studio says the answer came about, ``extra`` what was said to
    the team's own questions.
    """

    labels: tuple[str, ...] = ()
    second: str | None = None
    confidence: float | None = None
    guess: str | None = None
    hidden: str | None = None
    share: float | None = None
    origin: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def form(self) -> FormGuess | None:
        """The guess that the form had, where the answer tells all of it."""
        label = self.hidden or self.guess
        return None if label is None or self.share is None else FormGuess(label, self.hidden is None, self.share)


def read(result: Iterable[object], theirs: frozenset[str] = frozenset()) -> Said:
    """What a result says; a part of a shape that is not understood is kept with the team's own answers.

    ``theirs`` are names of optional questions that this form uses for a question of the team's own.
    """
    labels: dict[str, None] = {}
    second: str | None = None
    confidence: float | None = None
    guess: str | None = None
    hidden: str | None = None
    share: float | None = None
    origin: str | None = None
    others: list[Mapping[str, object]] = []
    for part in result:
        if not isinstance(part, Mapping):  # Label Studio stores what a script sends
            others.append({"from_name": UNREADABLE, "value": {"part": part}})
            continue
        name, kind = part.get("from_name"), part.get("type")
        chosen = words(part) if kind in (None, "choices") else ()
        ours = name not in theirs
        stars = _stars(part) if name == controls.CONFIDENCE and ours and kind in (None, "rating") else None
        mark, kept = marked(part), _text(_meta(part).get(HIDDEN))
        if name == controls.ANSWER and (chosen or (kind == "choices" and (mark or kept))):
            labels.update(dict.fromkeys(chosen))
            origin = origin or _text(part.get("origin"))
            guess, hidden = guess or mark, hidden or kept
            share = _share(part) if share is None else share
        elif name == controls.SECOND and ours and len(chosen) == 1:
            second = chosen[0]
        elif stars is not None:
            confidence = stars / controls.CONFIDENCE_STEPS
        else:
            others.append(part)
    if guess is None and hidden is None and origin == UNCHANGED and len(labels) == 1:
        guess = next(iter(labels))
    return Said(tuple(labels), second, confidence, guess, hidden, share, origin, extra.collect(others))


def guessed(result: Sequence[object]) -> str:
    """The word that a prediction's result puts into emolab's question; empty when it puts none."""
    said = read(result)
    return said.labels[0] if len(said.labels) == 1 else ""


def words(part: Mapping[str, object]) -> tuple[str, ...]:
    """The distinct words chosen in one part."""
    value = part.get("value")
    chosen = value.get("choices") if isinstance(value, Mapping) else None
    if not isinstance(chosen, list):
        return ()
    return tuple(dict.fromkeys(extra.clean(word) for word in chosen if isinstance(word, str) and word.strip()))


def marked(part: Mapping[str, object]) -> str | None:
    """The class of the guess that emolab put on the form, which the part carries since then."""
    return _text(_meta(part).get(MARK))


def _meta(part: Mapping[str, object]) -> Mapping[str, object]:
    meta = part.get("meta")
    return meta if isinstance(meta, Mapping) else {}


def _share(part: Mapping[str, object]) -> float | None:
    """The share of the samples that were to stay blind, 0 to 1."""
    share = _meta(part).get(SHARE)
    if isinstance(share, bool) or not isinstance(share, int | float):
        return None
    return float(share) if 0 <= share <= 1 else None


def _stars(part: Mapping[str, object]) -> float | None:
    """The stars for "how sure are you", when it is emolab's own scale."""
    value = part.get("value")
    stars = value.get("rating") if isinstance(value, Mapping) else None
    if isinstance(stars, bool) or not isinstance(stars, int | float) or not math.isfinite(stars):
        return None
    return float(stars) if 0 <= stars <= controls.CONFIDENCE_STEPS else None


def _text(value: object) -> str | None:
    return extra.clean(value) if isinstance(value, str) and value else None
