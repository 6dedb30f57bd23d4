"""Report pages: one self-contained HTML file with inline charts, light and dark, nothing loaded from anywhere.

A page is a title, a few headline numbers and sections; a section's body is HTML made by the functions below or by
:mod:`emolab.pages.charts`. Every text given to a function is escaped.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from emolab.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Section:
    """One card: ``body`` is HTML, ``lead`` a sentence below the title, ``wide`` takes the whole width of the page."""

    title: str
    body: str
    lead: str = ""
    wide: bool = True


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One headline number with its name and a note below it."""

    label: str
    value: str
    note: str = ""


def page(
    title: str,
    sections: Iterable[Section],
    *,
    eyebrow: str = "emolab",
    subtitle: str = "",
    tiles: Iterable[Tile] = (),
    footer: str = "",
    style: str = "",
) -> str:
    """A complete HTML document; ``style`` is more CSS, of charts that bring their own."""
    numbers = "".join(_tile(tile) for tile in tiles)
    cards = "".join(_card(section) for section in sections)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        '<link rel="icon" href="data:,">'
        f"<title>{escape(title)}</title><style>{STYLE}{style}</style></head><body><main>"
        f'<header><p class="eyebrow">{escape(eyebrow)}</p><h1>{escape(title)}</h1>'
        + (f'<p class="subtitle">{escape(subtitle)}</p>' if subtitle else "")
        + (f'<div class="tiles">{numbers}</div>' if numbers else "")
        + f'</header><div class="cards">{cards}</div>'
        + (f"<footer>{escape(footer)}</footer>" if footer else "")
        + "</main></body></html>\n"
    )


def write_page(path: Path, text: str) -> None:
    """Write the page ``text`` to ``path``, in folders that are made. Raises :class:`DataError` where that cannot be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}.") from error


def table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, numeric: Sequence[int] = (), bars: Sequence[int] = ()
) -> str:
    """A table. Columns in ``numeric`` are set to the right; those in ``bars`` hold shares 0..1 drawn as bars."""
    right = {*numeric, *bars}

    def cell(column: int, text: str) -> str:
        if column in bars:
            return f'<td class="bar">{_share(text)}</td>'
        return f'<td class="{"n" if column in right else ""}">{escape(text)}</td>'

    head = "".join(f'<th class="{"n" if i in right else ""}">{escape(name)}</th>' for i, name in enumerate(columns))
    body = "".join("<tr>" + "".join(cell(i, text) for i, text in enumerate(row)) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def facts(pairs: Mapping[str, str]) -> str:
    """A list of names and values."""
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in pairs.items())
    return f'<dl class="facts">{rows}</dl>'


def paragraph(text: str) -> str:
    """A line of prose."""
    return f"<p>{escape(text)}</p>"


def columns(*bodies: str) -> str:
    """Several bodies side by side; below each other on a narrow screen."""
    return '<div class="columns">' + "".join(f"<div>{body}</div>" for body in bodies) + "</div>"


@dataclass(frozen=True, kw_only=True)
class Thumbnail:
    """A thumbnail: an encoded PNG or JPEG, a title, a line below it, and a tone: ``good``, ``bad`` or none.

    ``sound`` is a FLAC or WAV file that a player under the picture plays; empty for none.
    """

    image: bytes
    title: str
    note: str = ""
    tone: str = ""
    sound: bytes = b""


def gallery(pictures: Iterable[Thumbnail]) -> str:
    """Thumbnails with captions, in as many columns as fit."""
    return '<div class="gallery">' + "".join(_figure(picture) for picture in pictures) + "</div>"


def details(title: str, body: str) -> str:
    """A body folded away under its title."""
    return f"<details><summary>{escape(title)}</summary>{body}</details>"


def code(text: str) -> str:
    """Text as it is, in a fixed-width font."""
    return f"<pre>{escape(text)}</pre>"


def data_uri(image: bytes) -> str:
    """``image`` as a ``data:`` address; PNG, JPEG, WebP and SVG are recognised."""
    kinds = ((b"\xff\xd8", "jpeg"), (b"RIFF", "webp"), (b"<svg", "svg+xml"))
    kind = next((name for start, name in kinds if image.startswith(start)), "png")
    return f"data:image/{kind};base64,{base64.b64encode(image).decode('ascii')}"


def _sound_uri(sound: bytes) -> str:
    kind = "flac" if sound.startswith(b"fLaC") else "wav"
    return f"data:audio/{kind};base64,{base64.b64encode(sound).decode('ascii')}"


def _figure(picture: Thumbnail) -> str:
    note = f"<span>{escape(picture.note)}</span>" if picture.note else ""
    player = f'<audio controls preload="metadata" src="{_sound_uri(picture.sound)}"></audio>' if picture.sound else ""
    return (
        f'<figure class="{escape(picture.tone)}"><img alt="{escape(picture.title)}" src="{data_uri(picture.image)}">'
        f"{player}<figcaption><b>{escape(picture.title)}</b>{note}</figcaption></figure>"
    )


def _tile(tile: Tile) -> str:
    note = f'<span class="note">{escape(tile.note)}</span>' if tile.note else ""
    return (
        f'<div class="tile"><span class="label">{escape(tile.label)}</span>'
        f'<span class="value">{escape(tile.value)}</span>{note}</div>'
    )


def _card(section: Section) -> str:
    lead = f'<p class="lead">{escape(section.lead)}</p>' if section.lead else ""
    size = "wide" if section.wide else "half"
    return f'<section class="{size}"><h2>{escape(section.title)}</h2>{lead}{section.body}</section>'


def _share(text: str) -> str:
    try:
        value = min(max(float(text), 0.0), 1.0)
    except ValueError:
        return f'<span class="n">{escape(text)}</span>'
    return (
        f'<span class="track"><span class="fill" style="width:{value:.1%}"></span></span>'
        f'<span class="n">{value:.3f}</span>'
    )


#: Colours, light and dark.
PALETTE = """
:root{--paper:#f7f5f1;--card:#fffefc;--ink:#191b20;--soft:#646b76;--line:#e6e2da;--grid:#ece8e0;
--c1:#0b7a6e;--c2:#e0532b;--c3:#3f57c9;--c4:#b27a12;--c5:#8a3ea8;--c6:#5b6472;
--c7:#c2407a;--c8:#1887b8;--c9:#6b8e23;--good:#0b7a6e;--bad:#c83c1b;
--shadow:0 1px 2px rgba(40,34,20,.05),0 8px 24px -12px rgba(40,34,20,.12)}
@media (prefers-color-scheme:dark){:root{--paper:#0e1114;--card:#161a1f;--ink:#eceef1;--soft:#98a1ad;--line:#272d35;
--grid:#222831;--c1:#3ecbb6;--c2:#ff8861;--c3:#93a7ff;--c4:#f0c15c;--c5:#d79af0;--c6:#a7b0bd;
--c7:#ff8fbd;--c8:#6cc7f0;--c9:#b4d86b;--good:#3ecbb6;
--bad:#ff8861;--shadow:none}}
"""
#: How parts of a chart look.
DRAWN = """
svg text{fill:var(--soft);font-size:12px;font-family:inherit}
svg text.strong{fill:var(--ink);font-weight:600}
svg .grid{stroke:var(--grid);stroke-width:1}
svg .axis{stroke:var(--line);stroke-width:1}
"""
STYLE = (
    PALETTE
    + DRAWN
    + """
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.55 "Inter","Segoe UI",system-ui,-apple-system,
"Helvetica Neue","Noto Sans","DejaVu Sans",sans-serif;font-feature-settings:"tnum" 1,"cv05" 1;
-webkit-font-smoothing:antialiased}
main{max-width:1120px;margin:0 auto;padding:56px 28px 40px}
header{margin-bottom:28px}
.eyebrow{margin:0 0 6px;color:var(--c1);font-size:13px;font-weight:650;letter-spacing:.09em;text-transform:uppercase}
h1{margin:0;font-size:40px;line-height:1.12;font-weight:720;letter-spacing:-.025em}
.subtitle{margin:10px 0 0;color:var(--soft);font-size:17px;max-width:760px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:1px;margin-top:28px;
background:var(--line);border:1px solid var(--line);border-radius:14px;overflow:hidden;box-shadow:var(--shadow)}
.tile{display:flex;flex-direction:column;padding:16px 18px 14px;background:var(--card)}
.tile .label{color:var(--soft);font-size:13px}
.tile .value{font-size:30px;line-height:1.25;font-weight:680;letter-spacing:-.02em}
.tile .note{color:var(--soft);font-size:12.5px}
.cards{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:20px}
section{padding:22px 24px 24px;background:var(--card);border:1px solid var(--line);border-radius:14px;
box-shadow:var(--shadow);min-width:0}
section.wide{grid-column:1/-1}
h2{margin:0 0 2px;font-size:18px;font-weight:670;letter-spacing:-.01em}
.lead{margin:0 0 14px;color:var(--soft);font-size:14px}
h2+svg,h2+div,h2+dl{margin-top:12px}
.columns{display:grid;grid-template-columns:repeat(auto-fit,minmax(300px,1fr));gap:24px}
svg{display:block;width:100%;height:auto;overflow:visible}
.legend{display:flex;flex-wrap:wrap;gap:6px 18px;margin:0 0 8px;color:var(--soft);font-size:13px}
.legend i{display:inline-block;width:18px;height:3px;margin-right:7px;border-radius:2px;vertical-align:middle}
.scroll{overflow-x:auto}
table{width:100%;border-collapse:collapse;font-size:14px}
th{padding:6px 8px;color:var(--soft);font-size:12.5px;font-weight:600;text-align:left;
border-bottom:1px solid var(--line);white-space:nowrap}
td{padding:7px 8px;border-bottom:1px solid var(--grid);vertical-align:middle}
tr:last-child td{border-bottom:0}
th:first-child,td:first-child{padding-left:0;font-weight:560}
th:last-child,td:last-child{padding-right:0}
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
td.bar{white-space:nowrap;text-align:right}
.track{display:inline-block;width:40px;height:6px;margin-right:8px;background:var(--grid);border-radius:4px;
overflow:hidden;vertical-align:middle;text-align:left}
.fill{display:block;height:100%;background:var(--c1);border-radius:4px}
.facts{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:5px 22px;margin:0;font-size:14px}
.facts dt{color:var(--soft)}
.facts dd{margin:0;overflow-wrap:anywhere}
.gallery{display:grid;grid-template-columns:repeat(auto-fill,minmax(104px,1fr));gap:16px 12px}
figure{margin:0;min-width:0}
figure img{display:block;width:100%;aspect-ratio:1;object-fit:cover;border-radius:10px;background:var(--grid)}
figure audio{display:block;width:100%;height:32px;margin-top:6px}
figure.bad img{box-shadow:0 0 0 2px var(--card),0 0 0 3.5px var(--bad)}
figure.good img{box-shadow:0 0 0 2px var(--card),0 0 0 3.5px var(--good)}
figcaption{padding-top:7px;font-size:12.5px;line-height:1.35}
figcaption b{display:block;font-weight:620}
figcaption span{color:var(--soft)}
details{margin-top:16px;font-size:14px}
summary{color:var(--soft);cursor:pointer}
pre{margin:10px 0 0;padding:14px 16px;overflow-x:auto;background:var(--paper);border:1px solid var(--line);
border-radius:10px;font:12.5px/1.5 ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace}
footer{margin-top:28px;color:var(--soft);font-size:13px}
@media (max-width:760px){main{padding:32px 16px}h1{font-size:30px}.cards{grid-template-columns:minmax(0,1fr)}}
@media print{body{background:#fff}section,.tiles{break-inside:avoid;box-shadow:none}}
"""
)
