"""What stands beside a face: the likeliest classes of its answer, as bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import ImageDraw

#: Classes shown per face, and the share below which a class is left out.
BARS = 4
_LEAST = 0.01
BLUE, DARK, _WHITE, _GREY = (64, 196, 255), (16, 20, 28), (255, 255, 255), (70, 78, 92)

#: Left, top, right and bottom in pixels.
Area = tuple[int, int, int, int]


def free_place(size: tuple[int, int], area: Area, picture: tuple[int, int], taken: Sequence[Area]) -> tuple[int, int]:
    """Where a panel of ``size`` beside ``area`` covers least of what is ``taken``; on its right where that is free."""
    (left, top, right, bottom), gap = area, 6
    width, height = size
    spots = [
        (right + gap, top),
        (left - gap - width, top),
        (left, bottom + gap),
        (left, top - gap - height),
        (right + gap, bottom - height),
        (left - gap - width, bottom - height),
        (right - width, bottom + gap),
        (right - width, top - gap - height),
    ]

    def covered(spot: tuple[int, int]) -> int:
        x, y = spot
        return sum(
            max(0, min(x + width, r) - max(x, le)) * max(0, min(y + height, b) - max(y, t)) for le, t, r, b in taken
        )

    inside = [(max(0, min(x, picture[0] - width)), max(0, min(y, picture[1] - height))) for x, y in spots]
    return min(inside, key=covered)


class AnswerPanel:
    """The likeliest classes of one answer: names, bars and shares."""

    def __init__(self, probs: Mapping[str, float], text: int) -> None:
        from PIL import ImageFont

        self._font = ImageFont.load_default(size=text)
        ranked = sorted(probs.items(), key=lambda item: -item[1])
        self._shown = [(name, p) for i, (name, p) in enumerate(ranked[:BARS]) if i == 0 or p >= _LEAST]
        self._line = round(self._font.getbbox("Ag")[3] * 1.25)
        self._gap = max(4, self._line // 3)
        self._words = max(self._font.getlength(name) for name, _ in self._shown)
        self._bar = self._line * 3
        width = self._words + self._bar + self._font.getlength("100 %") + 4 * self._gap
        #: (width, height) in pixels
        self.size = round(width), self._line * len(self._shown) + 2 * self._gap

    def draw(self, canvas: ImageDraw.ImageDraw, place: tuple[int, int]) -> None:
        """Draw it with its upper left corner at ``place``."""
        (x, y), (width, height), gap = place, self.size, self._gap
        canvas.rounded_rectangle((x, y, x + width, y + height), radius=gap, fill=(*DARK, 215))
        for i, (name, share) in enumerate(self._shown):
            at = y + gap + i * self._line
            start = x + 2 * gap + self._words
            middle, half = at + self._line * 0.45, self._line * 0.22
            canvas.text((x + gap, at), name, font=self._font, fill=_WHITE)
            canvas.rectangle((start, middle - half, start + self._bar, middle + half), fill=_GREY)
            canvas.rectangle((start, middle - half, start + self._bar * share, middle + half), fill=BLUE)
            canvas.text((start + self._bar + gap, at), f"{share * 100:.0f} %", font=self._font, fill=_WHITE)
