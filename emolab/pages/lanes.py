"""Lanes over the time of a recording, one below the other: who was there, what was heard, what was said.

A lane is made of boxes with words in them and keeps its size of letters on any screen; a long recording is wider than
the page and moves under the names of its lanes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from emolab.pages.svg_elements import ticks
from emolab.pages.timelines import COLOURS, clock

#: Pixels of a second, so that a word fits into what is said in one, and of all of it at most.
_SECOND, _WIDEST = 56, 20_000
#: Lines of the axis for a thousand pixels.
_TICKS = 9


@dataclass(frozen=True, kw_only=True)
class Box:
    """From second ``begin`` to ``end``, with ``label`` in it and ``told`` when it is pointed at.

    ``colour`` is one of the page, 1..9, ``None`` for none; ``strength`` 0..1 says how much of it there is.
    """

    begin: float
    end: float
    label: str
    told: str = ""
    colour: int | None = None
    strength: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Lane:
    """A ``name`` and its boxes; a ``strong`` one stands out."""

    name: str
    boxes: Sequence[Box]
    strong: bool = False


@dataclass(frozen=True, kw_only=True)
class LaneGroup:
    """Lanes that belong to one ``title``, which may have a small ``portrait`` (an address of a picture)."""

    title: str
    lanes: Sequence[Lane]
    portrait: str = ""
    note: str = ""


def colour_of(place: int) -> int:
    """The colour of the class at ``place``."""
    return place % COLOURS + 1


def lanes(groups: Sequence[LaneGroup], *, end: float) -> str:
    """All ``groups`` over one axis of time up to second ``end``."""
    width = f"min-width:{_pixels(end):.0f}px"
    parts = [_axis(end)]
    for group in groups:
        picture = f'<img alt="" src="{escape(group.portrait)}">' if group.portrait else ""
        note = f"<small>{escape(group.note)}</small>" if group.note else ""
        parts.append(f'<div class="who"><span>{picture}<b>{escape(group.title)}</b>{note}</span></div>')
        parts += [_lane(lane, end) for lane in group.lanes]
    inner = f'<div style="{width}">{"".join(parts)}</div>'
    return f'<div class="scroll lanes" tabindex="0" role="group" aria-label="timeline">{inner}</div>'


def _lane(lane: Lane, end: float) -> str:
    boxes = "".join(_box(box, end) for box in lane.boxes)
    kind = "lane strong" if lane.strong else "lane"
    return f'<div class="{kind}"><span>{escape(lane.name)}</span><div>{boxes}</div></div>'


def _box(box: Box, end: float) -> str:
    left, width = _share(box.begin, end), _share(box.end, end) - _share(box.begin, end)
    tint = (
        ""
        if box.colour is None
        else f";--tint:var(--c{box.colour});--much:{18 + 42 * min(max(box.strength, 0), 1):.0f}%"
    )
    told = f' title="{escape(box.told)}"' if box.told else ""
    return f'<i style="left:{left:.3f}%;width:{max(width, 0.05):.3f}%{tint}"{told}>{escape(box.label)}</i>'


def _share(seconds: float, end: float) -> float:
    return 100 * min(max(seconds / max(end, 1e-6), 0.0), 1.0)


def _pixels(end: float) -> float:
    """How wide a recording of ``end`` seconds is drawn, at least."""
    return min(_SECOND * end, _WIDEST)


def _axis(end: float) -> str:
    wanted = max(3, round(_TICKS * max(_pixels(end), 600) / 1000))
    marks = "".join(
        f'<i style="left:{_share(tick, end):.3f}%">{clock(tick) if end >= 9 else f"{tick:g} s"}</i>'
        for tick in ticks(0.0, max(end, 1e-6), wanted, whole=end >= 9)
        if tick <= end * 0.995
    )
    return f'<div class="lane axis"><span></span><div>{marks}</div></div>'


def shares(parts: Sequence[tuple[str, float]]) -> str:
    """One bar of coloured ``parts`` (class, share) in the order of the classes, which sum to 1."""
    drawn = "".join(
        f'<i style="width:{100 * share:.2f}%;background:var(--c{colour_of(place)})" '
        f'title="{escape(name)} {share:.0%}"></i>'
        for place, (name, share) in enumerate(parts)
        if share >= 0.005
    )
    return f'<div class="shares">{drawn}</div>'


#: How lanes and shares look; for the ``style`` of a page.
LANES_STYLE = """
.lanes{position:relative;padding-bottom:4px}
.lane{display:grid;grid-template-columns:76px minmax(0,1fr);align-items:stretch;margin-top:3px}
.lane>span,.who>span{position:sticky;left:0;z-index:2;background:var(--card)}
.lane>span{padding:3px 10px 3px 0;color:var(--soft);font-size:12.5px;line-height:20px}
.lane.strong>span{color:var(--ink);font-weight:620}
.lane>div{position:relative;height:26px;background:var(--grid);border-radius:5px;overflow:hidden}
.lane>div>i{position:absolute;top:2px;bottom:2px;padding:0 6px;overflow:hidden;border-radius:4px;font-style:normal;
font-size:12px;line-height:22px;white-space:nowrap;text-overflow:ellipsis;color:var(--ink);background:var(--card);
border-left:3px solid var(--tint,var(--line))}
.lane>div>i[style*="--tint"]{background:color-mix(in srgb,var(--tint) var(--much,40%),var(--card))}
.lane.strong>div{height:30px}
.lane.strong>div>i{line-height:26px;font-weight:620}
.lane.axis>div{height:18px;background:none;border-radius:0}
.lane.axis>div>i{top:0;bottom:auto;padding:0 0 0 4px;color:var(--soft);font-size:11.5px;line-height:18px;
background:none;border-left:1px solid var(--line);border-radius:0;overflow:visible}
.who{margin-top:16px}
.who>span{display:inline-flex;align-items:center;gap:9px;padding-right:12px;font-size:14px}
.who img{width:34px;height:34px;border-radius:9px;object-fit:cover}
.who small{color:var(--soft);font-size:12.5px}
.shares{display:flex;height:10px;border-radius:5px;overflow:hidden;background:var(--grid)}
.shares i{display:block}
@media (max-width:760px){.lane{grid-template-columns:72px minmax(0,1fr)}}
"""
