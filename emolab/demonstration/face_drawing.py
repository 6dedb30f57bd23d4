"""Drawing one face from what its muscles do: brows, lids, nose and mouth on a head of its own.

Lengths are shares of the picture, colours RGB.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Action:
    """What the muscles do: 0 is rest, 1 the full movement of a clear expression.

    ``inner`` and ``outer`` raise (or, negative, lower) the ends of the brows; ``lids`` opens the eyes; ``smile`` pulls
    the corners of the mouth up, ``lopsided`` only one of them; ``open`` drops the jaw; ``wide`` stretches the mouth;
    ``press`` thins the lips; ``sneer`` raises the upper lip and wrinkles the nose; ``cheeks`` lifts the cheeks.
    """

    inner: float = 0.0
    outer: float = 0.0
    lids: float = 0.0
    smile: float = 0.0
    lopsided: float = 0.0
    open: float = 0.0
    wide: float = 0.0
    press: float = 0.0
    sneer: float = 0.0
    cheeks: float = 0.0


@dataclass(frozen=True)
class Person:
    """What stays the same between the pictures of one person. Colours are RGB, lengths are shares of the picture."""

    skin: tuple[int, int, int]
    hair: tuple[int, int, int]
    shirt: tuple[int, int, int]
    iris: tuple[int, int, int]
    style: int
    width: float
    height: float
    eye: float
    gap: float
    nose: float
    brow: float
    glasses: bool
    beard: bool


def shade(colour: tuple[int, int, int], factor: float) -> tuple[int, int, int]:
    """``colour`` lighter (above 1) or darker by ``factor``."""
    red, green, blue = (int(min(255, max(0, value * factor))) for value in colour)
    return red, green, blue


class Pen:
    """Draws in shares of the picture: (0, 0) is the middle, x to the right, y down, 1 is the whole side."""

    def __init__(self, image: Image.Image) -> None:
        self._draw, self._side = ImageDraw.Draw(image), image.width

    def _at(self, x: float, y: float) -> tuple[float, float]:
        return ((0.5 + x) * self._side, (0.5 + y) * self._side)

    def oval(self, x: float, y: float, rx: float, ry: float, fill: tuple[int, int, int]) -> None:
        """A filled ellipse around (x, y)."""
        self._draw.ellipse((*self._at(x - rx, y - ry), *self._at(x + rx, y + ry)), fill=fill)

    def ring(self, x: float, y: float, rx: float, ry: float, colour: tuple[int, int, int]) -> None:
        """An ellipse's outline."""
        box = (*self._at(x - rx, y - ry), *self._at(x + rx, y + ry))
        self._draw.ellipse(box, outline=colour, width=max(1, round(0.009 * self._side)))

    def area(self, points: NDArray[np.float64], fill: tuple[int, int, int]) -> None:
        """A filled polygon."""
        self._draw.polygon([self._at(x, y) for x, y in points], fill=fill)

    def line(self, points: NDArray[np.float64], width: float, colour: tuple[int, int, int]) -> None:
        """A line with round ends."""
        thick = max(1, round(width * self._side))
        path = [self._at(x, y) for x, y in points]
        self._draw.line(path, fill=colour, width=thick, joint="curve")
        for x, y in (path[0], path[-1]):
            self._draw.ellipse((x - thick / 2, y - thick / 2, x + thick / 2, y + thick / 2), fill=colour)


def _curve(*points: tuple[float, float], n: int = 24) -> NDArray[np.float64]:
    """A Bezier curve through control ``points`` (2, 3 or 4 of them), (n, 2)."""
    t = np.linspace(0, 1, n)[:, None]
    level = [np.array(point)[None] * np.ones((n, 1)) for point in points]
    while len(level) > 1:
        level = [a * (1 - t) + b * t for a, b in pairwise(level)]
    return level[0]


def head(side: int, person: Person, act: Action, x: float, y: float) -> Image.Image:
    """``person`` with the muscles ``act`` on a clear ground of ``side`` pixels; (x, y) is where the face looks."""
    layer = Image.new("RGBA", (side, side), (*person.shirt, 0))
    pen = Pen(layer)
    w, h = person.width, person.height
    _body(pen, person, w, h)
    pen.oval(0, 0, w, h, person.skin)
    if person.beard:
        _beard(pen, person, x, y)
    _eyes(pen, person, act, x, y - 0.055)
    _nose(pen, person, act, x * 1.25, y + 0.06)
    _mouth(pen, person, act, x, y + 0.205)
    _fringe(pen, person, w, h)
    return layer


def _beard(pen: Pen, person: Person, x: float, y: float) -> None:
    w, h = person.width, person.height
    angle = np.linspace(0.12, np.pi - 0.12, 40)
    jaw = np.stack([w * np.cos(angle), h * np.sin(angle)], axis=1)
    top = _curve((-w * 0.97, 0.06), (x - w * 0.75, y + 0.2), (x - 0.1, y + 0.1), (x, y + 0.13))
    other = _curve((x, y + 0.13), (x + 0.1, y + 0.1), (x + w * 0.75, y + 0.2), (w * 0.97, 0.06))
    pen.area(np.concatenate([jaw, top, other]), shade(person.hair, 1.15))
    pen.oval(x, y + 0.215, 0.115, 0.06, person.skin)


def _body(pen: Pen, person: Person, w: float, h: float) -> None:
    pen.oval(0, 0.62, 0.42, 0.26, person.shirt)
    if person.style in (1, 3):
        pen.oval(0, 0.02, w * 1.28, h * 1.22, shade(person.hair, 0.85))
        pen.area(
            np.array([(-w * 1.25, 0.0), (w * 1.25, 0.0), (w * 1.15, 0.46), (-w * 1.15, 0.46)]),
            shade(person.hair, 0.85),
        )
    pen.area(np.array([(-0.1, 0.25), (0.1, 0.25), (0.13, 0.45), (-0.13, 0.45)]), shade(person.skin, 0.82))
    for side in (-1, 1):
        pen.oval(side * w, 0.0, 0.035, 0.06, shade(person.skin, 0.9))


def _fringe(pen: Pen, person: Person, w: float, h: float) -> None:
    if person.style == 2:
        return
    low = -h * (0.5 if person.style == 3 else 0.62)
    crown = _curve((-w * 1.06, low + 0.14), (-w * 1.1, -h * 1.5), (w * 1.1, -h * 1.5), (w * 1.06, low + 0.14))
    part = -0.4 if person.style == 0 else 0.1
    hem = _curve((w * 0.98, low + 0.1), (w * (0.5 - part), low - 0.06), (w * part, low - 0.1), (-w * 0.98, low + 0.1))
    pen.area(np.concatenate([crown, hem]), person.hair)


def _eyes(pen: Pen, person: Person, act: Action, x: float, y: float) -> None:
    ink = shade(person.skin, 0.42)
    opened = max(0.14, 1 + 0.75 * act.lids - 0.3 * act.cheeks - 0.15 * act.sneer)
    for side in (-1, 1):
        cx = x + side * 0.125 * person.gap
        rx, ry = 0.052 * person.eye, 0.029 * person.eye * opened
        pen.oval(cx, y, rx, ry, (250, 248, 245))
        iris = min(0.027, ry * 1.02)
        pen.oval(cx + x * 0.15, y, min(iris, 0.027), iris, person.iris)
        pen.oval(cx + x * 0.15, y, iris * 0.5, iris * 0.5, (18, 16, 18))
        pen.oval(cx + x * 0.15 + 0.008, y - iris * 0.4, 0.005, 0.005, (255, 255, 255))
        pen.line(_curve((cx - rx, y), (cx, y - 2 * ry), (cx + rx, y)), 0.011, ink)
        if act.cheeks > 0.35:
            pen.line(
                _curve((cx - rx, y + 0.035), (cx, y + 0.055), (cx + rx, y + 0.035)), 0.006, shade(person.skin, 0.78)
            )
        height = y - 0.075
        inner = (cx - side * 0.055, height - 0.038 * act.inner)
        outer = (cx + side * 0.065, height - 0.034 * act.outer + 0.008)
        arch = 0.02 + 0.012 * max(0.0, act.outer) + (0.012 * act.lopsided if side > 0 else 0.0)
        middle = (cx + side * 0.012, min(inner[1], outer[1]) - arch * (1 if act.inner > -0.4 else 0.3))
        pen.line(_curve(inner, middle, outer), 0.016 * person.brow, shade(person.hair, 0.8))
        if person.glasses:
            pen.ring(cx, y, 0.082, 0.068, (40, 40, 46))
    if act.inner < -0.45:
        for side in (-1, 1):
            pen.line(
                _curve((x + side * 0.014, y - 0.095), (x + side * 0.01, y - 0.055)), 0.006, shade(person.skin, 0.68)
            )
    if person.glasses:
        pen.line(_curve((x - 0.045, y), (x, y - 0.02), (x + 0.045, y)), 0.009, (40, 40, 46))


def _nose(pen: Pen, person: Person, act: Action, x: float, y: float) -> None:
    ink = shade(person.skin, 0.72)
    lift = 0.012 * max(0.0, act.sneer)
    pen.line(
        _curve((x - 0.012, y - 0.07), (x + 0.028 * person.nose, y + 0.02), (x - 0.004, y + 0.03 - lift)), 0.009, ink
    )
    for side in (-1, 1):
        pen.oval(x + side * 0.022 * person.nose, y + 0.032 - lift, 0.011, 0.007, shade(person.skin, 0.66))
        if act.sneer > 0.3:
            for row in range(2):
                start = (x + side * 0.02, y - 0.045 + 0.022 * row)
                pen.line(_curve(start, (x + side * 0.05, start[1] + 0.014)), 0.007, ink)
            pen.line(
                _curve((x + side * 0.045, y + 0.02), (x + side * 0.1, y + 0.06), (x + side * 0.105, y + 0.12)),
                0.008,
                ink,
            )


def _mouth(pen: Pen, person: Person, act: Action, x: float, y: float) -> None:
    lip = shade((200, 92, 88), 0.55 + 0.45 * sum(person.skin) / 620)
    half = 0.092 * (1 + 0.34 * act.wide + 0.12 * max(0.0, act.smile))
    left = (x - half, y - 0.05 * act.smile)
    right = (x + half, y - 0.05 * (act.smile + 1.15 * act.lopsided) - 0.004 * act.lopsided)
    drop = 0.15 * max(0.0, act.open)
    rise = 0.03 * max(0.0, act.sneer)
    sag = 0.05 * act.smile
    upper = _curve(
        left, (x - half * 0.35, y - rise + sag * 0.35 - 0.004), (x + half * 0.35, y - rise + sag * 0.35 - 0.004), right
    )
    lower = _curve(right, (x + half * 0.55, y + sag + drop), (x - half * 0.55, y + sag + drop), left)
    thick = max(0.006, 0.017 * (1 - 0.65 * max(0.0, act.press)))
    if drop > 0.012 or rise > 0.012:
        pen.area(np.concatenate([upper, lower]), (82, 26, 30))
        if act.smile > 0.25 or act.sneer > 0.4 or act.wide > 0.4:
            teeth = np.concatenate([upper, upper[::-1] + np.array([0, min(0.028, max(0.012, drop * 0.35))])])
            pen.area(teeth, (246, 242, 234))
    pen.line(upper, thick, lip)
    pen.line(lower, thick * 1.15, lip)
    if act.smile > 0.4 or act.lopsided > 0.4:
        for corner, side, much in ((left, -1, act.smile), (right, 1, max(act.smile, act.lopsided))):
            if much > 0.4:
                fold = _curve(
                    (corner[0] + side * 0.018, corner[1] - 0.045),
                    (corner[0] + side * 0.04, corner[1]),
                    (corner[0] + side * 0.02, corner[1] + 0.03),
                )
                pen.line(fold, 0.007, shade(person.skin, 0.74))
    if act.press > 0.5:
        pen.line(_curve((x - 0.05, y + 0.06), (x, y + 0.05), (x + 0.05, y + 0.06)), 0.007, shade(person.skin, 0.78))
