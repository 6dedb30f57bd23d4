"""The page about faces, voice and words of a video: one timeline, who said what, and how it was put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emolab.loop.model.film.film_turns import FACE, VOICE, WORDS
from emolab.pages import html, timelines
from emolab.pages.lanes import LANES_STYLE, Box, Lane, LaneGroup, colour_of, lanes, shares
from emolab.words import many, short

if TYPE_CHECKING:
    from emolab.loop.model.film.film_faces import SeenFaces
    from emolab.loop.model.film.film_models import FilmModels
    from emolab.loop.model.film.film_turns import Turn
    from emolab.loop.model.film.predict_film import FilmPredicted
    from emolab.serving.live.timeline import FaceSummary

#: Turns that are listed, faces with a lane, and seconds without a face after which a new box begins.
MOST_TURNS, MOST_FACES, _GAP = 400, 24, 1.0
#: What nobody is known to have said.
NOBODY = "a voice"


def write_film_report(
    path: Path, done: FilmPredicted, seen: SeenFaces, turns: Sequence[Turn], models: FilmModels
) -> None:
    """Write the page to ``path``. Raises :class:`DataError` where that cannot be."""
    html.write_page(path, _page(done, seen, turns, models))


def _page(done: FilmPredicted, seen: SeenFaces, turns: Sequence[Turn], models: FilmModels) -> str:
    groups = _groups(done, seen, turns, models)
    overview = timelines.names(done.classes) + lanes(groups, end=done.seconds) if groups else ""
    sections = [html.Section(title="Faces, voice and words", body=overview, lead=_lead(done))]
    if done.speakers:
        sections.append(html.Section(title="Who showed what", body=_speakers(done), lead=_told(done)))
    if turns:
        sections.append(html.Section(title="Turn by turn", body=_turns(done), lead=_left_out(turns)))
    sections.append(html.Section(title="How it was put together", body=_rule(done)))
    judged = [name for name, model in done.models.items() if model is not None]
    return html.page(
        Path(done.file).name,
        sections,
        eyebrow="emolab video",
        subtitle="What faces show, how the voice sounds and what is said, and what all of it says together.",
        tiles=[
            html.Tile(label="length", value=timelines.clock(done.seconds)),
            html.Tile(label="judged", value=f"{len(judged)} of 3", note=", ".join(judged)),
            html.Tile(label="faces", value=f"{len(done.faces):,}", note="a face that comes back later counts again"),
            html.Tile(label="turns", value=f"{len(done.turns):,}", note="what is said in one go"),
        ],
        footer="A model's guess about looks, voices and words is no knowledge of what people feel.",
        style=LANES_STYLE + _STYLE,
    )


def _lead(done: FilmPredicted) -> str:
    if not done.faces and not done.turns:
        return "No face was found, and nobody was heard."
    return "Each box says what is likeliest; the fuller its colour, the surer. Point at one to read more."


def _groups(done: FilmPredicted, seen: SeenFaces, turns: Sequence[Turn], models: FilmModels) -> list[LaneGroup]:
    """A group for each speaker, then for each face that speaks in no turn."""
    place = {name: i for i, name in enumerate(done.classes)}
    by_track = {face.track: face for face in seen.faces}
    groups, shown = [], set()
    for told in done.speakers:
        own = [(turn, row) for turn, row in zip(turns, done.turns, strict=True) if turn.speaker == told["speaker"]]
        tracks = [by_track[track] for track in told["faces"] if track in by_track]
        shown |= {face.track for face in tracks}
        made = [Lane(name=FACE, boxes=[box for face in tracks for box in _seen(face, models, place)])] if tracks else []
        made += [
            Lane(name=name, boxes=[_said(row, name, place) for _, row in own if row["said"][name] is not None])
            for name in (VOICE, WORDS)
            if any(row["said"][name] is not None for _, row in own)
        ]
        if any(turn.text for turn, _ in own):
            made.append(Lane(name="said", boxes=[_text(turn) for turn, _ in own if turn.text]))
        made.append(Lane(name="together", strong=True, boxes=[_together(row, place) for _, row in own if row["label"]]))
        portrait = next((seen.portraits[face.track] for face in tracks if face.track in seen.portraits), None)
        groups.append(_group(told["speaker"] or NOBODY, made, portrait, "" if told["speaker"] else "who is not known"))
    silent = [face for face in sorted(seen.faces, key=lambda face: -face.frames) if face.track not in shown]
    for face in sorted(silent[:MOST_FACES], key=lambda face: face.track):
        lane = Lane(name=FACE, boxes=_seen(face, models, place))
        groups.append(_group(f"face {face.track}", [lane], seen.portraits.get(face.track), "not known to speak"))
    return groups


def _group(title: str, made: Sequence[Lane], portrait: bytes | None, note: str) -> LaneGroup:
    picture = "" if portrait is None else html.data_uri(portrait)
    return LaneGroup(title=title, lanes=[lane for lane in made if lane.boxes], portrait=picture, note=note)


def _seen(face: FaceSummary, models: FilmModels, place: Mapping[str, int]) -> list[Box]:
    """The time of a face, in boxes in which one class was ahead."""
    classes = models.classes_of(FACE)
    return [_box(run.begin, run.end, classes[run.place], run.share, place) for run in face.runs(gap=_GAP)]


def _box(begin: float, end: float, name: str, share: float, place: Mapping[str, int], *, more: str = "") -> Box:
    from emolab.stats.fusion import common_name

    number = place.get(common_name(name, place))
    when = _when(begin, end)
    return Box(
        begin=begin,
        end=end,
        label=f"{name} {share:.0%}",
        told=f"{name} {share:.0%}, {when}{more}",
        colour=None if number is None else colour_of(number),
        strength=share,
    )


def _when(begin: float, end: float) -> str:
    """From when to when: a turn in the first minute often lasts no whole second of a clock."""
    return f"{begin:.1f} to {end:.1f} s" if end < 60 else f"{timelines.clock(begin)} to {timelines.clock(end)}"


def _said(row: Mapping[str, Any], channel: str, place: Mapping[str, int]) -> Box:
    said = row["said"][channel]
    return _box(
        row["begin"], row["end"], said["label"], said["confidence"], place, more=f": {_likeliest(said['probs'])}"
    )


def _together(row: Mapping[str, Any], place: Mapping[str, int]) -> Box:
    return _box(row["begin"], row["end"], row["label"], row["confidence"], place, more=f": {_likeliest(row['probs'])}")


def _text(turn: Turn) -> Box:
    text = turn.text or ""
    return Box(begin=turn.begin, end=turn.end, label=text, told=text)


def _likeliest(probs: Mapping[str, float]) -> str:
    order = sorted(probs, key=lambda name: -probs[name])[:3]
    return ", ".join(f"{name} {probs[name]:.0%}" for name in order if probs[name] >= 0.01)


def _told(done: FilmPredicted) -> str:
    if any(told["speaker"] is None for told in done.speakers):
        return (
            "The mean over all turns, by their length. Where several faces or none are in the picture and no "
            "transcript says who speaks, a voice is nobody's, and it is not said how many voices there are."
        )
    return "The mean over all turns, by their length."


def _speakers(done: FilmPredicted) -> str:
    parts = []
    for told in done.speakers:
        probs = told["probs"]
        bar = "" if probs is None else shares(list(probs.items()))
        mean = "nothing of it could be judged" if probs is None else _likeliest(probs)
        told_turns = f"{many(told['turns'], 'turn')}, {told['seconds']:.1f} s"
        name = escape(told["speaker"] or NOBODY)
        parts.append(f'<div class="mean"><b>{name}</b><span>{told_turns}</span>{bar}<span>{escape(mean)}</span></div>')
    return f'{timelines.names(done.classes)}<div class="means">{"".join(parts)}</div>'


def _left_out(turns: Sequence[Turn]) -> str:
    more = len(turns) - MOST_TURNS
    rule = "A face counts where it alone is in the picture while somebody speaks."
    return rule + (f" The first {MOST_TURNS}; {more:,} others are in --json." if more > 0 else "")


def _turns(done: FilmPredicted) -> str:
    place = {name: i for i, name in enumerate(done.classes)}
    parts = []
    for row in done.turns[:MOST_TURNS]:
        when = _when(row["begin"], row["end"])
        quote = f"<q>{escape(row['text'])}</q>" if row["text"] else ""
        chips = "".join(
            _chip(name, row["said"][name], place, row["no_face"] if name == FACE else None)
            for name in (FACE, VOICE, WORDS)
            if done.models[name]
        )
        head = f"<b>{escape(row['speaker'] or NOBODY)}</b><time>{when}</time>"
        parts.append(
            f'<li><div class="head">{head}</div>{quote}<div class="chips">{chips}</div>{_answer(row, place)}</li>'
        )
    return f'<ol class="turns">{"".join(parts)}</ol>'


def _chip(name: str, said: Mapping[str, Any] | None, place: Mapping[str, int], why: str | None) -> str:
    from emolab.stats.fusion import common_name

    if said is None:
        return f"<span>{name}: {escape(why or 'nothing')}</span>"
    number = place.get(common_name(said["label"], place))
    dot = "" if number is None else f'<i style="background:var(--c{colour_of(number)})"></i>'
    told = escape(_likeliest(said["probs"]))
    return f'<span title="{told}">{dot}{name}: {escape(said["label"])} {said["confidence"]:.0%}</span>'


def _answer(row: Mapping[str, Any], place: Mapping[str, int]) -> str:
    if row["label"] is None:
        return '<div class="answer">nothing to judge</div>'
    colour = colour_of(place[row["label"]])
    told = escape(_likeliest(row["probs"]))
    return (
        f'<div class="answer" title="{told}"><b>{escape(row["label"])} {row["confidence"]:.0%}</b>'
        f'<span class="track"><span class="fill" style="width:{row["confidence"]:.0%};background:var(--c{colour})">'
        "</span></span></div>"
    )


def _rule(done: FilmPredicted) -> str:
    named = {
        name: "left out" if model is None else f"model {short(model)}, weight {done.weights[name]:g}"
        for name, model in done.models.items()
    }
    rule = (
        "Logarithms of the calibrated probabilities, each less that of its model's own prior, times the weight of the "
        "channel, are added; the prior counts once. A channel that says nothing changes nothing."
    )
    notes = "".join(html.paragraph(note[:1].upper() + note[1:] + ".") for note in done.notes)
    return html.facts(named) + html.paragraph(rule) + notes


_STYLE = """
.means{display:grid;gap:16px}
.mean{display:grid;grid-template-columns:minmax(90px,160px) 120px minmax(0,1fr) minmax(0,300px);gap:4px 16px;
align-items:center;font-size:14px}
.mean span{color:var(--soft);font-size:13px}
.turns{display:grid;gap:0;margin:0;padding:0;list-style:none}
.turns li{display:grid;grid-template-columns:150px minmax(0,1fr) 190px;gap:2px 20px;padding:12px 0;
border-top:1px solid var(--grid)}
.turns li:first-child{border-top:0}
.turns .head{grid-row:1/3;display:flex;flex-direction:column}
.turns time{color:var(--soft);font-size:13px}
.turns q{grid-column:2;font-size:15px;overflow-wrap:anywhere}
.chips{grid-column:2;display:flex;flex-wrap:wrap;gap:4px 14px;color:var(--soft);font-size:13px;align-items:center}
.chips i{display:inline-block;width:9px;height:9px;margin-right:6px;border-radius:3px}
.answer{grid-column:3;grid-row:1/3;align-self:center;text-align:right}
.answer b{display:block;font-weight:640}
.answer .track{width:100%;margin:4px 0 0;display:block}
@media (max-width:760px){
.mean{grid-template-columns:minmax(0,1fr) auto}.mean .shares{grid-column:1/-1}.mean span:last-child{grid-column:1/-1}
.turns li{grid-template-columns:minmax(0,1fr)}
.turns .head{grid-row:auto;flex-direction:row;gap:10px;align-items:baseline}
.turns q,.chips,.answer{grid-column:1;grid-row:auto}.answer{text-align:left;width:100%}}
"""
