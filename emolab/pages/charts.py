"""Charts as inline SVG in the colours of :mod:`emolab.pages.html`: curves with bands, bars, heat maps, reliability."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from emolab.pages.svg_elements import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Series,
    legend,
    log_ticks,
    padded,
    plain,
    svg,
    text,
    ticks,
)


def line(
    series: Sequence[Series],
    *,
    x_label: str,
    y_label: str,
    y_range: tuple[float, float] | None = None,
    y_format: Callable[[float], str] = plain,
    mark_x: float | None = None,
    mark_label: str = "",
    whole_x: bool = True,
    log_x: bool = False,
) -> str:
    """Curves over a common x axis with a legend; ``mark_x`` draws a vertical line with a label.

    With ``log_x`` every doubling takes the same room; all x are above 0 then.
    """
    drawn = [s for s in series if len(s.x)]
    if not drawn:
        return '<p class="lead">Nothing to draw yet.</p>'
    axes, y_ticks = _axes(drawn, y_range, log_x=log_x)
    px, py = axes.px, axes.py
    parts = []
    for tick in y_ticks:
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{py(tick):.1f}" y2="{py(tick):.1f}"/>')
        parts.append(text(LEFT - 8, py(tick) + 4, y_format(tick), anchor="end"))
    for tick in axes.x_ticks(whole=whole_x):
        parts.append(text(px(tick), HEIGHT - BOTTOM + 18, plain(tick)))
    parts.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 4, x_label))
    if mark_x is not None:
        parts.append(
            f'<line x1="{px(mark_x):.1f}" x2="{px(mark_x):.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" '
            'style="stroke:var(--soft);stroke-dasharray:3 4"/>'
        )
        right = px(mark_x) > WIDTH * 0.7
        parts.append(text(px(mark_x) + (-6 if right else 6), TOP + 12, mark_label, anchor="end" if right else "start"))
    for s in drawn:
        parts.append(_curve(s, px, py))
    return legend(drawn) + svg(parts, f"{y_label} over {x_label}")


@dataclass(frozen=True)
class _Axes:
    """Where values lie on the drawing: ``low`` to ``high`` upwards, ``x_low`` to ``x_high`` to the right."""

    low: float
    high: float
    x_low: float
    x_high: float
    log_x: bool

    def px(self, x: float) -> float:
        """From the left."""
        low, high = self.x_low, self.x_high
        share = math.log(x / low) / math.log(high / low) if self.log_x else (x - low) / (high - low)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def py(self, y: float) -> float:
        """From the top; what lies outside is drawn on the edge."""
        return TOP + (self.high - min(max(y, self.low), self.high)) / (self.high - self.low) * (HEIGHT - TOP - BOTTOM)

    def x_ticks(self, *, whole: bool) -> list[float]:
        """Round numbers within the range."""
        found = log_ticks(self.x_low, self.x_high) if self.log_x else ticks(self.x_low, self.x_high, 8, whole=whole)
        return [tick for tick in found if self.x_low <= tick <= self.x_high]


def _axes(drawn: Sequence[Series], y_range: tuple[float, float] | None, *, log_x: bool) -> tuple[_Axes, list[float]]:
    """Axes that hold all curves, and the round numbers of the vertical one."""
    xs = [x for s in drawn for x in s.x]
    ys = [v for s in drawn for v in (*s.y, *s.low, *s.high) if math.isfinite(v)]
    y_ticks = ticks(*(y_range or padded(min(ys), max(ys))))
    low, high = y_range or (y_ticks[0], y_ticks[-1])
    if low == high:  # a curve that is flat to the last digits
        low, high = low - 0.5, high + 0.5
    x_low, x_high = min(xs), max(xs)
    if x_low == x_high:
        x_low, x_high = (x_low / 2, x_high * 2) if log_x else (x_low - 0.5, x_high + 0.5)
    return _Axes(low, high, x_low, x_high, log_x), y_ticks


def _curve(s: Series, px: Callable[[float], float], py: Callable[[float], float]) -> str:
    color = f"var(--c{s.color})"
    out = ""
    if len(s.low):
        upper = [f"{px(x):.1f},{py(v):.1f}" for x, v in zip(s.x, s.high, strict=True)]
        lower = [f"{px(x):.1f},{py(v):.1f}" for x, v in zip(s.x, s.low, strict=True)]
        out += f'<polygon points="{" ".join([*upper, *reversed(lower)])}" style="fill:{color};opacity:.16"/>'
    points = [(px(x), py(y)) for x, y in zip(s.x, s.y, strict=True) if math.isfinite(y)]
    dash = ";stroke-dasharray:6 5" if s.dashed else ""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    out += (
        f'<polyline points="{path}" style="fill:none;stroke:{color};stroke-width:2.4;stroke-linejoin:round;'
        f'stroke-linecap:round{dash}"/>'
    )
    if s.dots or len(points) == 1:
        out += "".join(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" style="fill:{color};stroke:var(--card);stroke-width:2"/>'
            for x, y in points
        )
    return out


def bars(
    values: Mapping[str, float],
    *,
    color: int = 1,
    form: Callable[[float], str] = plain,
    second: Mapping[str, float] | None = None,
) -> str:
    """Horizontal bars, one per name; ``second`` draws a thinner bar in another colour below each."""
    rows = list(values.items())
    step = 26.0 if second is None else 34.0
    height = step * len(rows) + 4
    room = 120.0
    top = max([*values.values(), *(second or {}).values(), 1e-12])
    parts = []
    for i, (name, value) in enumerate(rows):
        y = i * step + 4
        length = max(0.0, value / top) * (WIDTH - room - 70)
        parts.append(text(room - 10, y + 13, name, anchor="end", strong=True))
        parts.append(
            f'<rect x="{room}" y="{y:.1f}" width="{length:.1f}" height="16" rx="4" style="fill:var(--c{color})"/>'
        )
        parts.append(text(room + length + 8, y + 13, form(value), anchor="start"))
        if second is not None:
            other = max(0.0, second.get(name, 0.0) / top) * (WIDTH - room - 70)
            parts.append(
                f'<rect x="{room}" y="{y + 18:.1f}" width="{other:.1f}" height="6" rx="3" style="fill:var(--c4)"/>'
            )
    return svg(parts, "bars", height=height)


def heatmap(matrix: Sequence[Sequence[float]], rows: Sequence[str], columns: Sequence[str]) -> str:
    """Counts as coloured cells, each row by its own sum; rows are the truth, columns the answers."""
    k, m = len(rows), len(columns)
    if not k or not m:
        return '<p class="lead">Nothing to draw yet.</p>'
    room, head = 92.0, 74.0
    cell = min(58.0, (WIDTH - room) / m)
    parts = []
    for j, name in enumerate(columns):
        x = room + (j + 0.5) * cell
        parts.append(
            f'<text x="{x:.1f}" y="{head - 10:.1f}" transform="rotate(-38 {x:.1f} {head - 10:.1f})">'
            f"{escape(name)}</text>"
        )
    for i, name in enumerate(rows):
        y = head + i * cell
        total = sum(matrix[i]) or 1.0
        parts.append(text(room - 10, y + cell / 2 + 4, name, anchor="end", strong=True))
        for j in range(m):
            share = matrix[i][j] / total
            color = "var(--c1)" if i == j else "var(--c2)"
            x = room + j * cell
            parts.append(
                f'<rect x="{x + 1:.1f}" y="{y + 1:.1f}" width="{cell - 2:.1f}" height="{cell - 2:.1f}" rx="5" '
                f'style="fill:{color};fill-opacity:{0.05 + 0.95 * share:.3f}">'
                f"<title>{escape(name)} called {escape(columns[j])}: {matrix[i][j]:g} ({share:.0%})</title></rect>"
            )
            if cell >= 30 and matrix[i][j]:
                ink = "var(--card)" if share > 0.5 else "var(--ink)"
                parts.append(
                    f'<text x="{x + cell / 2:.1f}" y="{y + cell / 2 + 4:.1f}" text-anchor="middle" '
                    f'style="fill:{ink}">{matrix[i][j]:g}</text>'
                )
    return svg(parts, "confusion matrix", width=room + m * cell + 40, height=head + k * cell + 2)


def reliability(bins: Sequence[Mapping[str, float]], *, title: str, note: str) -> str:
    """Accuracy against confidence per bin: bars on the diagonal mean that confidence can be believed.

    A bin has ``low``, ``confidence``, ``accuracy`` and ``count``; small dots below show how many samples fell there.
    """
    size, left, top, bottom = 320.0, 44.0, 34.0, 44.0
    side = size - left - 10
    thick = side / 15 - 2

    def px(v: float) -> float:
        return left + v * side

    def py(v: float) -> float:
        return top + (1 - v) * side

    parts = [text(left, 14, title, anchor="start", strong=True), text(left, 29, note, anchor="start")]
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(f'<line class="grid" x1="{left}" x2="{left + side}" y1="{py(tick):.1f}" y2="{py(tick):.1f}"/>')
        parts.append(text(left - 7, py(tick) + 4, f"{tick:.0%}", anchor="end"))
        parts.append(text(px(tick), top + side + 17, f"{tick:.0%}"))
    most = max((b["count"] for b in bins), default=1.0)
    for b in bins:
        x, h = px(b["low"]), b["accuracy"] * side
        strength = 0.35 + 0.65 * math.sqrt(b["count"] / most)
        parts.append(
            f'<rect x="{x + 1:.1f}" y="{py(b["accuracy"]):.1f}" width="{thick:.1f}" height="{h:.1f}" rx="2" '
            f'style="fill:var(--c1);fill-opacity:{strength:.2f}"><title>{b["count"]:g} samples: '
            f"confidence {b['confidence']:.1%}, accuracy {b['accuracy']:.1%}</title></rect>"
        )
        gap_top, gap_low = max(b["accuracy"], b["confidence"]), min(b["accuracy"], b["confidence"])
        parts.append(
            f'<rect x="{x + 1:.1f}" y="{py(gap_top):.1f}" width="{thick:.1f}" '
            f'height="{(gap_top - gap_low) * side:.1f}" style="fill:var(--c2);fill-opacity:.22"/>'
        )
    parts.append(
        f'<line x1="{px(0):.1f}" y1="{py(0):.1f}" x2="{px(1):.1f}" y2="{py(1):.1f}" '
        'style="stroke:var(--ink);stroke-opacity:.55;stroke-dasharray:4 4"/>'
    )
    parts.append(text(left + side / 2, top + side + 36, "confidence"))
    return svg(parts, title, width=size, height=top + side + bottom, grow=1.15)


def alone(series: Sequence[Series], markup: str, style: str) -> str:
    """The chart ``markup`` of :func:`line` as an SVG file of its own, its legend inside, coloured by ``style``."""
    begin, head = markup.index("<svg"), 26.0
    parts, x = [], LEFT
    for s in series:
        dash = ";stroke-dasharray:6 5" if s.dashed else ""
        parts.append(
            f'<line x1="{x:.0f}" x2="{x + 18:.0f}" y1="-14" y2="-14" '
            f'style="stroke:var(--c{s.color});stroke-width:2.4{dash}"/>'
        )
        parts.append(text(x + 24, -10, s.name, anchor="start"))
        x += 40 + 7 * len(s.name)
    body = markup[markup.index(">", begin) + 1 : markup.rindex("</svg>")]
    width, height = max(WIDTH, x), HEIGHT + head
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 {-head:.0f} {width:.0f} {height:.0f}" '
        f'font-family="sans-serif"><style>{style}</style>'
        f'<rect x="0" y="{-head:.0f}" width="{width:.0f}" height="{height:.0f}" style="fill:var(--card)"/>'
        f"{''.join(parts)}{body}</svg>\n"
    )
