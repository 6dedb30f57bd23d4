"""The form annotators see: classes as buttons with keys 1 to 9, and two answers for "I cannot say".

Label Studio stores a form as XML. It is built here from the classes, and read back to see which labels a project
offers, so that a label somebody has used never disappears silently.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from xml.etree import ElementTree as Xml

from emolab.errors import DataError
from emolab.labeling.form import style, translations
from emolab.labeling.form.translations import Words
from emolab.modalities.modality import open_modality

ANSWER = "emotion"
SECOND = "second"
CONFIDENCE = "confidence"
CONFIDENCE_STEPS = 3
MULTIPLE = "multiple"

#: Meta labels offered beside the classes, with what is stored when their buttons are pressed.
META_BUTTONS = translations.META_STORED
#: The words of emolab's own headings.
HEADINGS = translations.HEADINGS
_DIGITS = "1234567890"
_LETTERS = "qweasdzxcfgvbtyjkmnop"  # none of them has a meaning of its own in Label Studio


def keys(classes: Sequence[str]) -> dict[str, str]:
    """The key of every button, classes first: digits, then letters.

    With up to eight classes ``unknown`` is always 9 and ``no_face`` always 0, so that fingers need not relearn.

    >>> keys(["sad", "happy"])
    {'sad': '1', 'happy': '2', 'unknown': '9', 'no_face': '0'}
    """
    if len(classes) <= 8:
        pairs = [*zip(classes, _DIGITS, strict=False), ("unknown", "9"), ("no_face", "0")]
    else:
        names = [*classes, *META_BUTTONS]
        stock = [*_DIGITS, *_LETTERS]
        if len(names) > len(stock):
            raise DataError(f"A form holds at most {len(stock) - len(META_BUTTONS)} classes, got {len(classes)}.")
        pairs = list(zip(names, stock, strict=False))
    return dict(pairs)


def render(
    classes: Sequence[str],
    *,
    modality: str = "image",
    second: bool = False,
    confidence: bool = False,
    several: bool = False,
    kept: Iterable[str] = (),
    words: Words = translations.WORDS["en"],
) -> str:
    """The form as Label Studio XML.

    ``second`` adds an optional second guess, ``confidence`` optional stars from 1 to 3, ``several`` lets an answer hold
    several labels. ``kept`` are labels that the
    project no longer has but that were used: they stay, without a key, behind the classes. ``words``: what people read.
    """
    shown = open_modality(modality).form
    offered, others = keys(classes), list(kept)
    columns = "display: flex; flex-wrap: wrap; gap: 1.5rem 2.5rem; justify-content: center; align-items: flex-start"
    view = Xml.Element("View", className=style.CLASS, style=columns)
    Xml.SubElement(view, "Style").text = style.css(len(offered) + len(others))
    left = Xml.SubElement(view, "View", style=f"flex: 0 1 {style.FACE}; min-width: 16rem")
    right = Xml.SubElement(view, "View", style="flex: 0 1 24rem; min-width: 16rem")
    Xml.SubElement(left, shown.tag, {"name": modality, "value": f"${modality}", **shown.attributes})
    Xml.SubElement(right, "Header", value=words.question, size="4")
    question = {"name": ANSWER, "toName": modality, "choice": MULTIPLE if several else "single-radio"}
    question["required"] = "true"
    answer = Xml.SubElement(right, "Choices", {**question, "requiredMessage": words.required})
    for name, key in offered.items():
        Xml.SubElement(answer, "Choice", _choice(name, words), hotkey=key)
    for name in others:
        Xml.SubElement(answer, "Choice", value=name)
    Xml.SubElement(right, "Header", value=words.several if several else words.next, size="6", style=style.ASIDE)
    for name, heading in ((SECOND, words.second), (CONFIDENCE, words.sure)):
        if {SECOND: second, CONFIDENCE: confidence}[name]:
            Xml.SubElement(right, "Header", value=heading, size="6", style=style.ASIDE)
            right.append(optional(name, modality, classes, words))
    Xml.indent(view)
    return Xml.tostring(view, encoding="unicode") + "\n"


def optional(
    name: str, modality: str, classes: Sequence[str] = (), words: Words = translations.WORDS["en"]
) -> Xml.Element:
    """The control of an optional question: :data:`SECOND` or :data:`CONFIDENCE`."""
    if name == CONFIDENCE:
        return Xml.Element("Rating", {"name": name, "toName": modality, "maxRating": str(CONFIDENCE_STEPS)})
    guess = Xml.Element("Choices", {"name": name, "toName": modality, "choice": "single-radio", "layout": "select"})
    for label in classes:
        Xml.SubElement(guess, "Choice", _choice(label, words))
    return guess


def _choice(label: str, words: Words) -> dict[str, str]:
    """The text on a button, and what is stored for it where that is another."""
    shown, stored = words.name(label), META_BUTTONS.get(label, label)
    return {"value": shown} if shown == stored else {"value": shown, "alias": stored}


def stored(choice: Xml.Element) -> str:
    """What Label Studio stores when a choice is made."""
    return str(choice.get("alias") or choice.get("value"))


def labels(config: str) -> list[str]:
    """The labels that a form offers as answers, in its order; empty for a form that is not emolab's."""
    return list(buttons(config).values())


def buttons(config: str) -> dict[str, str]:
    """What people read on the answers of a form, in its order, and what Label Studio stores for each."""
    try:
        view = Xml.fromstring(config)  # noqa: S314 (from the project's own server; entities are not expanded)
    except Xml.ParseError:
        return {}
    return {
        str(choice.get("value")): stored(choice)
        for choices in view.iter("Choices")
        if choices.get("name") == ANSWER
        for choice in choices.iter("Choice")
    }


def takes_several(config: str) -> bool:
    """Whether one answer of a form may hold several labels."""
    try:
        view = Xml.fromstring(config)  # noqa: S314 (as in :func:`buttons`)
    except Xml.ParseError:
        return False
    return any(c.get("name") == ANSWER and c.get("choice") == MULTIPLE for c in view.iter("Choices"))


def same(one: str, other: str) -> bool:
    """Tell whether two forms are the same apart from spacing."""
    return _canonical(one) == _canonical(other)


def answer(
    label: str,
    *,
    modality: str = "image",
    second: str | None = None,
    confidence: int | None = None,
    also: Sequence[str] = (),
) -> list[dict[str, object]]:
    """The result an annotator's browser would send for this answer; ``confidence`` is a number of stars."""
    parts = [_result(ANSWER, modality, "choices", {"choices": [META_BUTTONS.get(label, label), *also]})]
    if second is not None:
        parts.append(_result(SECOND, modality, "choices", {"choices": [second]}))
    if confidence is not None:
        parts.append(_result(CONFIDENCE, modality, "rating", {"rating": confidence}))
    return parts


def _result(name: str, modality: str, kind: str, value: Mapping[str, object]) -> dict[str, object]:
    return {"from_name": name, "to_name": modality, "type": kind, "value": dict(value)}


def _canonical(config: str) -> str:
    try:
        return Xml.canonicalize(config, strip_text=True)
    except Xml.ParseError:
        return config.strip()
