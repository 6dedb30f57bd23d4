"""The page about a video: who was there when, and what each face showed over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from emolab.pages import html, timelines
from emolab.words import many, short

if TYPE_CHECKING:
    from emolab.loop.model.predict_video import VideoPredicted
    from emolab.serving.live.timeline import FaceSummary

#: Faces with a chart of their own, points of a chart, and the seconds without a face after which a new piece begins.
MOST, _POINTS, _GAP = 24, 250, 1.0


def write_report(
    path: Path, done: VideoPredicted, faces: Sequence[FaceSummary], portraits: Mapping[int, bytes]
) -> None:
    """Write the page to ``path``. Raises :class:`DataError` where that cannot be."""
    html.write_page(path, _page(done, faces, portraits))


def _page(done: VideoPredicted, faces: Sequence[FaceSummary], portraits: Mapping[int, bytes]) -> str:
    longest = sorted(faces, key=lambda face: (-face.frames, face.track))[:MOST]
    shown = sorted(longest, key=lambda face: face.track)
    sections = [html.Section(title="Who was there when", body=_overview(done, shown), lead=_left_out(faces, shown))]
    sections += [_face(done, face, portraits.get(face.track)) for face in shown]
    if done.notes:
        sections.append(html.Section(title="The file", body="".join(html.paragraph(note) for note in done.notes)))
    return html.page(
        Path(done.file).name,
        sections,
        eyebrow="emolab video",
        subtitle=f"What model {short(done.model)} sees in each face, over time. Smoothed; the colours are shares.",
        tiles=[
            html.Tile(label="length", value=timelines.clock(done.seconds)),
            html.Tile(label="faces", value=f"{len(faces):,}", note="a face that comes back later counts again"),
            html.Tile(label="frames", value=f"{done.frames:,}", note=many(done.cuts, "cut")),
            html.Tile(label="damaged frames", value=f"{done.damaged:,}", note="left out"),
        ],
        footer="A model's guess about how faces look is no knowledge of what people feel.",
    )


def _left_out(faces: Sequence[FaceSummary], shown: Sequence[FaceSummary]) -> str:
    if not faces:
        return "No face was found in any frame."
    more = len(faces) - len(shown)
    return f"The {len(shown)} faces that were seen longest; {more:,} others are in the timeline." if more else ""


def _overview(done: VideoPredicted, shown: Sequence[FaceSummary]) -> str:
    if not shown:
        return ""
    rows = [
        timelines.Presence(name=f"face {face.track}", anchor=f"face{face.track}", stretches=_stretches(done, face))
        for face in shown
    ]
    return timelines.names(done.classes) + timelines.presence(rows, end=done.seconds)


def _stretches(done: VideoPredicted, face: FaceSummary) -> list[tuple[float, float, int, str]]:
    """The time of a face, in pieces in which one class was ahead: begin, end, colour, and what is said of it."""
    found = []
    for run in face.runs(gap=_GAP):
        end = min(done.seconds, run.end)
        said = f"{done.classes[run.place]}, {timelines.clock(run.begin)} to {timelines.clock(end)}"
        found.append((run.begin, end, run.place % timelines.COLOURS + 1, said))
    return found


def _face(done: VideoPredicted, face: FaceSummary, portrait: bytes | None) -> html.Section:
    every = max(1, -(-len(face.times) // _POINTS))
    chart = timelines.stacked(
        face.times[::every].tolist(),
        face.shares[::every].tolist(),
        done.classes,
        end=done.seconds,
        gap=_GAP + every * face.step,
    )
    order = sorted(range(len(done.classes)), key=lambda i: -face.probs[i])[:3]
    mean = ", ".join(f"{done.classes[i]} {face.probs[i]:.0%}" for i in order if face.probs[i] >= 0.01)
    lead = (
        f"{timelines.clock(face.first)} to {timelines.clock(face.last)}, {many(face.frames, 'frame')}. "
        f"On average {mean}."
    )
    if portrait is None:
        body = chart
    else:
        image = f'<img alt="face {face.track}" src="{html.data_uri(portrait)}" style="width:96px;border-radius:10px">'
        body = (
            '<div style="display:grid;grid-template-columns:96px minmax(0,1fr);gap:18px;align-items:center">'
            f"{image}{chart}</div>"
        )
    return html.Section(title=f"Face {face.track}", body=f'<div id="face{face.track}">{body}</div>', lead=lead)
