"""What people are told: one thing that is wrong with one model, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from emolab.errors import DataError

_TEXTS = ("key", "model", "title", "words", "window")


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """One thing that is wrong with ``model``, by its whole id.

    ``key`` says which thing: ``drift:MODEL:DETECTOR``, ``accuracy:MODEL``, ``audit:MODEL``, ``test``; the same key
    again is the same alarm that goes on. ``title`` is one line; ``words`` are two to four: what, since when, what to
    type next. ``window`` names the window in which it was seen, ``detail`` holds figures, ready for JSON.
    """

    key: str
    model: str
    title: str
    words: str
    window: str
    detail: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {**{name: getattr(self, name) for name in _TEXTS}, "detail": dict(self.detail)}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Alarm:
        """The alarm that :meth:`to_dict` wrote down; raises :class:`DataError` for anything else."""
        detail = plain.get("detail", {})
        wrong = [name for name in _TEXTS if not isinstance(plain.get(name), str)]
        if wrong or not isinstance(detail, Mapping):
            raise DataError(f"This is no alarm: {', '.join(wrong or ['detail'])} missing or of the wrong kind.")
        return cls(**{name: plain[name] for name in _TEXTS}, detail=dict(detail))
