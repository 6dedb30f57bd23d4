"""Answers to questions that the team put on the form itself: kept with the vote, whatever kind of control it was.

They are plain JSON by the control's name, in a fixed order, so that the same answers are always the same text. What is
very long is cut, and says so.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

#: Characters that one text may have, and all extra answers of one vote together.
LONGEST_TEXT = 1_000
LONGEST = 8_000
_LONGEST_NAME = 64
_DEEPEST = 20  # objects and lists within one another; no control of Label Studio needs as many
_SORTED = frozenset({"choices", "taxonomy", "labels"})  # the order of clicking means nothing in these


def collect(parts: Iterable[Mapping[str, object]]) -> dict[str, Any]:
    """The extra answers in these parts of a result: a value by the control's name, a list where there are several."""
    found: dict[str, list[Any]] = {}
    for part in parts:
        name = _name(part)
        value = _value(part)
        if value is not None:
            found.setdefault(name, []).append(value)
    made = {name: values[0] if len(values) == 1 else values for name, values in sorted(found.items())}
    return _bounded(made)


def _name(part: Mapping[str, object]) -> str:
    name = part.get("from_name") or part.get("type") or "unnamed"
    return _cut(clean(str(name)), _LONGEST_NAME)


def _value(part: Mapping[str, object]) -> Any:
    """What one part says: the bare answer of a plain question, everything of a drawn region."""
    value = part.get("value")
    if value is None:  # a relation between two regions
        value = {key: part[key] for key in ("from_id", "to_id", "direction", "labels") if key in part}
    if value is None or value in ("", [], {}):
        return None
    if not isinstance(value, Mapping) or len(value) > 1:
        return _clean(value)
    (inner,) = value.values()
    if isinstance(inner, list):
        inner = [" > ".join(map(str, item)) if isinstance(item, list) else item for item in inner]
        if part.get("type") in _SORTED and all(isinstance(item, str) for item in inner):
            inner = sorted(inner)
        if len(inner) == 1:
            inner = inner[0]
    return None if inner in ("", []) else _clean(inner)


def _clean(value: object, depth: int = 0) -> Any:
    """``value`` as JSON that every database takes: keys sorted, texts cut, numbers finite, not endlessly nested."""
    if depth == _DEEPEST and isinstance(value, Mapping | list | tuple):
        return f"… [cut: nested more than {_DEEPEST} deep]"
    if isinstance(value, Mapping):
        pairs = ((_cut(clean(str(key)), _LONGEST_NAME), inner) for key, inner in value.items())
        return {key: _clean(inner, depth + 1) for key, inner in sorted(pairs, key=lambda pair: pair[0])}
    if isinstance(value, list | tuple):
        return [_clean(inner, depth + 1) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, bool | int | float) or value is None:
        return value
    return _cut(clean(str(value)), LONGEST_TEXT)


def clean(text: str) -> str:
    """``text`` without what a database or terminal refuses: half characters and the zero character."""
    return text.encode("utf-8", "replace").decode().replace("\0", "?")


def _cut(text: str, longest: int) -> str:
    """``text``, or its beginning with a mark; the mark differs for texts that differ only behind the cut."""
    if len(text) <= longest:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:6]
    return f"{text[: longest - 40]}… [cut: {len(text):,} characters, {digest}]"


def _bounded(made: dict[str, Any]) -> dict[str, Any]:
    """At most about :data:`LONGEST` characters: long answers are replaced by their beginning, of many some are left."""
    if len(dump(made)) <= LONGEST:
        return made
    kept: dict[str, Any] = {}
    room = LONGEST
    for name, value in made.items():
        text = dump(value)
        short = value if len(text) <= LONGEST_TEXT else _cut(text, LONGEST_TEXT // 2)
        room -= len(name) + len(dump(short)) + 6
        if room < 0:
            digest = hashlib.sha256(dump(made).encode()).hexdigest()[:6]
            return {**kept, "[cut]": f"{len(made) - len(kept):,} more answers, {digest}"}
        kept[name] = short
    return kept


def dump(value: object) -> str:
    """``value`` as the one text it has."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
