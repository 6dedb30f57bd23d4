"""What charts are drawn with: an SVG element, its text, legend and the round numbers of an axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 640.0, 300.0


LEFT, RIGHT, TOP, BOTTOM = 46.0, 16.0, 10.0, 40.0


@dataclass(frozen=True, kw_only=True)
class Series:
    """One curve: points ``x``, ``y``; ``low`` and ``high`` a band around it; ``color`` 1..9 of the page's palette."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    color: int = 1
    dashed: bool = False
    dots: bool = False


def percent(value: float) -> str:
    """0.25 as ``25%``."""
    return f"{value * 100:g}%" if abs(value * 100 - round(value * 100)) > 1e-6 else f"{value:.0%}"


def plain(value: float) -> str:
    """A number without needless digits."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:g}"


def legend(series: Sequence[Series]) -> str:
    """Names of curves beside their colours; nothing for a single one."""
    if len(series) < 2:
        return ""
    items = "".join(
        f'<span><i style="background:var(--c{s.color}){";opacity:.55" if s.dashed else ""}"></i>{escape(s.name)}</span>'
        for s in series
    )
    return f'<div class="legend">{items}</div>'


def svg(parts: Sequence[str], label: str, *, width: float = WIDTH, height: float = HEIGHT, grow: float = 1.5) -> str:
    """An SVG element of ``parts`` that scales with the page, up to ``grow`` times its own size."""
    return (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" style="max-width:{grow * width:.0f}px" role="img" '
        f'aria-label="{escape(label)}">{"".join(parts)}</svg>'
    )


def text(x: float, y: float, content: str, *, anchor: str = "middle", strong: bool = False) -> str:
    """A text element."""
    weight = ' class="strong"' if strong else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{weight}>{escape(content)}</text>'


def log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten within ``low``..``high``; powers alone where those would be too many."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if len(powers) <= 4 else (1,)
    return [step * 10.0**power for power in powers for step in steps if low <= step * 10.0**power <= high]


def padded(low: float, high: float) -> tuple[float, float]:
    """The range ``low``..``high``, never empty."""
    if high > low:
        return low, high
    gap = abs(low) * 0.1 or 0.5
    return low - gap, high + gap


def ticks(low: float, high: float, n: int = 5, *, whole: bool = False) -> list[float]:
    """About ``n`` round numbers that cover ``low``..``high``; only whole ones with ``whole``."""
    raw = (high - low) / max(1, n - 1)
    power = 10.0 ** math.floor(math.log10(raw)) if raw > 0 else 1.0
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999)
    if whole:
        step = max(1.0, math.ceil(step))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 10) for i in range(first, last + 1)]
