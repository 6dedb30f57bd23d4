"""Charts over the time of a recording: who was there when, and what each face showed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from emolab.pages.svg_elements import svg, text, ticks

_WIDTH, _LEFT, _RIGHT = 1000.0, 64.0, 12.0
#: Colours of the page's palette.
COLOURS = 9


@dataclass(frozen=True, kw_only=True)
class Presence:
    """One row: a ``name`` with a link to ``anchor``, and stretches (begin, end, colour 1..9, what it was)."""

    name: str
    anchor: str
    stretches: Sequence[tuple[float, float, int, str]]


def clock(seconds: float) -> str:
    """A time of a recording.

    >>> clock(7), clock(75.25), clock(3675)
    ('0:07', '1:15', '1:01:15')
    """
    whole = int(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"


def names(classes: Sequence[str]) -> str:
    """The classes beside their colours."""
    items = "".join(
        f'<span><i style="background:var(--c{i % COLOURS + 1});height:10px"></i>{escape(name)}</span>'
        for i, name in enumerate(classes)
    )
    return f'<div class="legend">{items}</div>'


def presence(rows: Sequence[Presence], *, end: float) -> str:
    """Who was there when: a line for each face, coloured by what it showed most."""
    step, top = 26.0, 6.0
    height = top + step * len(rows) + 24
    parts = _axis(end, top, top + step * len(rows))
    for i, row in enumerate(rows):
        y = top + i * step
        label = text(_LEFT - 8, y + 16, row.name, anchor="end", strong=True)
        parts.append(f'<a href="#{escape(row.anchor)}">{label}</a>')
        for begin, until, colour, said in row.stretches:
            x, width = _x(begin, end), max(1.5, _x(until, end) - _x(begin, end))
            parts.append(
                f'<rect x="{x:.1f}" y="{y + 4:.1f}" width="{width:.1f}" height="16" rx="2" '
                f'style="fill:var(--c{colour})"><title>{escape(said)}</title></rect>'
            )
    return svg(parts, "who was there when", width=_WIDTH, height=height)


def stacked(
    times: Sequence[float], shares: Sequence[Sequence[float]], classes: Sequence[str], *, end: float, gap: float
) -> str:
    """Shares (rows sum to 1) over time as coloured layers; a new piece begins after more than ``gap`` seconds."""
    top, bottom = 8.0, 148.0
    parts = []
    for share in (0.0, 0.5, 1.0):
        y = bottom - share * (bottom - top)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(text(_LEFT - 8, y + 4, f"{share:.0%}", anchor="end"))
    parts += _axis(end, bottom, bottom)
    for begin, stop in _pieces(times, gap):
        xs = [_x(at, end) for at in times[begin:stop]]
        if len(xs) == 1:
            xs = [xs[0] - 1, xs[0] + 1]
        rows = [list(row) for row in shares[begin:stop]]
        rows = rows * 2 if len(rows) == 1 else rows
        below = [0.0] * len(rows)
        for number, name in enumerate(classes):
            above = [low + row[number] for low, row in zip(below, rows, strict=True)]
            if max(row[number] for row in rows) >= 0.005:
                edge = [(x, bottom - v * (bottom - top)) for x, v in zip(xs, above, strict=True)]
                edge += [(x, bottom - v * (bottom - top)) for x, v in zip(reversed(xs), reversed(below), strict=True)]
                points = " ".join(f"{x:.1f},{y:.1f}" for x, y in edge)
                parts.append(
                    f'<polygon points="{points}" style="fill:var(--c{number % COLOURS + 1});fill-opacity:.85">'
                    f"<title>{escape(name)}</title></polygon>"
                )
            below = above
    return svg(parts, "shares over time", width=_WIDTH, height=bottom + 24)


def _pieces(times: Sequence[float], gap: float) -> list[tuple[int, int]]:
    """Where stretches without a gap begin and end, as places in ``times``."""
    borders = [i for i in range(1, len(times)) if times[i] - times[i - 1] > gap]
    return list(zip([0, *borders], [*borders, len(times)], strict=True)) if len(times) else []


def _x(seconds: float, end: float) -> float:
    return _LEFT + seconds / max(end, 1e-6) * (_WIDTH - _LEFT - _RIGHT)


def _axis(end: float, top: float, bottom: float) -> list[str]:
    parts = []
    for tick in ticks(0.0, max(end, 1e-6), 9, whole=end >= 9):
        if tick <= end:
            x = _x(tick, end)
            parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top:.1f}" y2="{bottom:.1f}"/>')
            said = clock(tick) if end >= 9 else f"{tick:g} s"
            parts.append(text(x, bottom + 18, said))
    return parts
