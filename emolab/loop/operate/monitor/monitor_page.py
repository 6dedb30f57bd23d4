"""The page of a monitor: looks over time, what moved, and the estimated accuracy; at most a few hundred kilobytes."""

from __future__ import annotations

import json
import math
from datetime import datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emolab.files import write_text
from emolab.loop.operate.monitor.look_words import TEST_COLUMNS, label_words, named, test_rows
from emolab.pages import charts
from emolab.pages.html import (
    Section,
    Thumbnail,
    Tile,
    columns,
    details,
    facts,
    gallery,
    page,
    paragraph,
    table,
    write_page,
)
from emolab.pages.svg_elements import Series, percent
from emolab.words import many, short

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from emolab.loop.operate.monitor.arrived_samples import MovedPictures
    from emolab.loop.operate.monitor.look_record import LookAudit, LookRecord
    from emolab.loop.operate.monitor.run_monitor import Monitored

#: Looks that a page draws and lists: two years of weeks.
MOST_LOOKS = 104
#: Powers of ten at which the chart of the tests ends.
_TOP = 15.0
#: Names of windows stay on a line; on a narrow screen tables are moved sideways, not squeezed.
_STYLE = "td:first-child{white-space:nowrap}@media (max-width:760px){table{min-width:680px}}"
#: What is written beside the page: whose pictures are in it.
SAMPLES_SUFFIX = ".samples.json"


def write_report(
    done: Monitored, *, reference: Mapping[str, Any], moved: MovedPictures, pictures: Mapping[str, bytes], path: Path
) -> None:
    """Write the page of ``done`` to ``path``, and beside it the ids of the samples whose ``pictures`` (by id) it has.

    ``reference`` is what :func:`emolab.loop.operate.monitor.take_looks.columns_seen` says of it.
    """
    looks = done.looks[-MOST_LOOKS:]
    newest = looks[-1]
    body = page(
        f"Is {short(done.model)} still right?",
        [
            *_alarms(done),
            Section(
                title="What is seen, beside the reference",
                lead=f"How far each look lies from {done.reference}. Above the dashed line a test raises an alarm.",
                body=_tests(looks),
            ),
            Section(title="Accuracy", lead=_accuracy_lead(done), body=_accuracy(done, looks)),
            Section(title="Classes", lead=_mix_lead(newest, reference), body=_mix(newest, reference), wide=False),
            Section(
                title="Confidence", lead="Mean of the highest probability.", wide=False,
                body=_lines(looks, {"confidence": "confidence"}, reference, y_format=percent),
            ),
            *_quality(looks, reference),
            Section(title="What moved, in examples", lead=moved.words, body=_pictures(moved, pictures)),
            Section(title="The newest look", lead=_look_lead(newest), body=_newest(newest)),
            Section(title="All looks", lead="The newest first.", body=_all(looks, len(done.looks))),
            Section(title="How much can be seen", body=_facts(done, newest)),
        ],
        subtitle=f"{done.name} · {newest.window.name}",
        tiles=_tiles(done, newest),
        style=_STYLE,
        footer=f"Made by emolab monitor. {newest.at}",
    )  # fmt: skip
    write_page(path, body)
    write_text(path.with_name(path.name + SAMPLES_SUFFIX), json.dumps(sorted(pictures)))


def _tiles(done: Monitored, newest: LookRecord) -> list[Tile]:
    tiles = [
        Tile(label="alarms now", value=str(len(done.alarms)), note="quiet" if not done.alarms else "see below"),
        Tile(label="answers", value=f"{newest.window.n:,}", note=f"in the newest {done.every}"),
    ]
    if newest.estimate is not None:
        note = f"{newest.estimate.low:.1%} to {newest.estimate.high:.1%}"
        tiles.append(Tile(label="estimated accuracy", value=f"{newest.estimate.accuracy:.1%}", note=note))
    if done.judged is not None:
        tiles.append(Tile(label="when judged", value=f"{done.judged:.1%}", note="accuracy"))
    audited = next((look for look in reversed(done.looks) if look.audit is not None), None)
    if audited is not None and audited.audit is not None:
        note = f"{audited.audit.low:.1%} to {audited.audit.high:.1%}; {audited.window.name}"
        tiles.append(Tile(label="audited accuracy", value=f"{audited.audit.accuracy:.1%}", note=note))
    return tiles


def _alarms(done: Monitored) -> list[Section]:
    if not done.alarms:
        return []
    body = "".join(
        f"<h3>{escape(alarm.title)}</h3>" + "".join(paragraph(line) for line in alarm.words.splitlines())
        for alarm in done.alarms
    )
    return [Section(title=many(len(done.alarms), "alarm"), body=body)]


def _weeks(looks: Sequence[LookRecord]) -> list[float]:
    """Each look's place on the axis: windows since the first, from 1 on."""
    begins = [datetime.fromisoformat(look.window.begin) for look in looks]
    ends = [datetime.fromisoformat(look.window.end) for look in looks]
    return [1 + (begin - begins[0]) / (ends[0] - begins[0]) for begin in begins]


def _axis(looks: Sequence[LookRecord]) -> str:
    return f"windows; 1 is {looks[0].window.name}"


def _tests(looks: Sequence[LookRecord]) -> str:
    """How surely each detector speaks, look by look."""
    x = _weeks(looks)
    names = list(dict.fromkeys(test.detector for look in looks for test in look.tests))
    series = [
        Series(
            name=named(name),
            x=x,
            y=[_surest([test.p for test in look.tests if test.detector == name]) for look in looks],
            color=i % 9 + 1,
            dots=len(looks) < 30,
        )
        for i, name in enumerate(names)
    ]
    if not series:
        return paragraph("No window had enough answers to be tested yet.")
    line = [-math.log10(look.level / max(1, len(look.tests))) for look in looks]
    series.append(Series(name="alarm", x=x, y=line, color=6, dashed=True))
    return charts.line(
        series, x_label=_axis(looks), y_label="how surely", y_range=(0.0, _TOP),
        y_format=lambda power: "1" if power == 0 else f"10^-{power:g}",
    ) + paragraph("The height is the p-value: higher is less likely to be chance.")  # fmt: skip


def _surest(values: Sequence[float]) -> float:
    """The smallest p as a power of ten, cut at the top; no number where there is no test."""
    return min(_TOP, -math.log10(max(min(values), 1e-300))) if values else math.nan


def _accuracy_lead(done: Monitored) -> str:
    if done.judged is None:
        return "Not estimated: too few judged samples have labels."
    return (
        "Estimated without labels, from judged samples that look alike, with its interval of 95 %. It assumes that "
        "those are as often right as before; only an audit tests that (emolab monitor --audit N)."
    )


def _accuracy(done: Monitored, looks: Sequence[LookRecord]) -> str:
    x = _weeks(looks)
    known = [(place, look.estimate) for place, look in zip(x, looks, strict=True) if look.estimate is not None]
    series = []
    if known:
        series.append(
            Series(
                name="estimated",
                x=[place for place, _ in known],
                y=[one.accuracy for _, one in known],
                low=[one.low for _, one in known],
                high=[one.high for _, one in known],
                dots=len(known) < 30,
            )
        )
    if done.judged is not None:
        series.append(Series(name="when judged", x=[x[0], x[-1]], y=[done.judged] * 2, color=6, dashed=True))
    for i, (place, audit) in enumerate((p, look.audit) for p, look in zip(x, looks, strict=True)):
        if audit is not None:
            name = "audited" if not any(s.name == "audited" for s in series) else ""
            series.append(
                Series(name=name or f"audit {i + 1}", x=[place, place + 1e-6], y=[audit.low, audit.high], color=2)
            )
            series.append(Series(name="", x=[place], y=[audit.accuracy], color=2, dots=True))
    if not series:
        return paragraph("There is nothing to estimate it from.")
    values = [value for one in series for value in (*one.y, *one.low, *one.high)]
    span = (max(0.0, math.floor(20 * min(values) - 0.5) / 20), min(1.0, math.ceil(20 * max(values) + 0.5) / 20))
    drawn = charts.line(series, x_label=_axis(looks), y_label="accuracy", y_range=span, y_format=percent)
    told = [
        (look.window.name, f"{look.audit.accuracy:.1%}", f"{look.audit.low:.1%} to {look.audit.high:.1%}",
         label_words(look.audit), *_agreement(look.audit))
        for look in looks if look.audit is not None
    ]  # fmt: skip
    head = ("audit of", "accuracy", "95 %", "labels", "estimate above it, points", "p")
    return drawn + (table(head, told, numeric=(1, 2, 4, 5)) if told else "")


def _agreement(audit: LookAudit) -> tuple[str, str]:
    """How far the estimate lies above the audit, and the p-value; empty where nothing was estimated."""
    if audit.difference is None or audit.p is None:
        return "", ""
    return f"{100 * audit.difference:+.1f}", f"{audit.p:.2g}"


def _mix_lead(newest: LookRecord, reference: Mapping[str, Any]) -> str:
    if not newest.seen or not reference:
        return "Nothing was asked in the newest window."
    if (labels := newest.seen.get("labels")) is None:
        return "Share of each answer in the newest window; the thin bar is the reference."
    before = f"{reference['labels']:.2f} in the reference"
    return (
        "Share of the samples that have each label in the newest window; the thin bar is the reference. A sample has "
        f"{labels:.2f} labels on average, {before}."
    )


def _mix(newest: LookRecord, reference: Mapping[str, Any]) -> str:
    if not newest.seen or not reference:
        return ""
    return charts.bars(newest.seen["classes"], form=lambda share: f"{share:.1%}", second=reference["classes"])


def _lines(looks: Sequence[LookRecord], wanted: Mapping[str, str], reference: Mapping[str, Any], **options: Any) -> str:
    """A curve over the looks of one value each of what was seen, and the reference as a dashed line."""
    seen = [(place, look.seen) for place, look in zip(_weeks(looks), looks, strict=True) if look.seen]
    series = []
    for i, (key, name) in enumerate(wanted.items()):
        points = [(place, one[key]) for place, one in seen if one.get(key) is not None]
        series.append(
            Series(name=name, x=[p for p, _ in points], y=[v for _, v in points], color=i + 1, dots=len(points) < 30)
        )
        if points and reference.get(key) is not None:
            ends, value = [points[0][0], points[-1][0]], reference[key]
            series.append(Series(name="reference", x=ends, y=[value, value], color=6, dashed=True))
    return charts.line(series, x_label=_axis(looks), y_label="", **options)


def _quality(looks: Sequence[LookRecord], reference: Mapping[str, Any]) -> list[Section]:
    """A section a column of quality, and of annotators."""
    sections = []
    for name in reference.get("quality", {}):
        parts = [
            (place, look.seen["quality"][name])
            for place, look in zip(_weeks(looks), looks, strict=True)
            if look.seen and name in look.seen["quality"]
        ]
        if parts:
            x, y = [place for place, _ in parts], [value for _, value in parts]
            series = [
                Series(name=name, x=x, y=y, dots=len(x) < 30),
                Series(name="reference", x=[x[0], x[-1]], y=[reference["quality"][name]] * 2, color=6, dashed=True),
            ]
            drawn = charts.line(series, x_label=_axis(looks), y_label=name)
            sections.append(Section(title=name.capitalize(), lead="Median of each window.", body=drawn, wide=False))
    for key, title, lead in (
        ("agreement", "Annotators' agreement", "Mean share of a sample's votes that its commonest class got."),
        ("seconds", "Annotators' speed", "Median seconds a vote took."),
    ):
        if any(look.seen.get(key) is not None for look in looks):
            sections.append(Section(title=title, lead=lead, body=_lines(looks, {key: key}, reference), wide=False))
    return sections


def _pictures(moved: MovedPictures, pictures: Mapping[str, bytes]) -> str:
    if not moved.loudest:
        return ""
    loud = [
        Thumbnail(image=pictures[one.id], title=said, note=f"{away:+.1f} SD", tone="bad")
        for one, away, said in moved.loudest
        if one.id in pictures
    ]
    beside = [
        Thumbnail(image=pictures[one.id], title=one.split or "", note=short(one.id))
        for one in moved.beside
        if one.id in pictures
    ]
    return columns(
        "<h3>Loudest in the window</h3>" + gallery(loud), "<h3>Samples that judge models here</h3>" + gallery(beside)
    )


def _look_lead(newest: LookRecord) -> str:
    notes = f" {'; '.join(newest.notes)}." if newest.notes else ""
    return f"{newest.window.name}, {many(newest.window.n, 'answer')}, level {newest.level:.2g}.{notes}"


def _newest(newest: LookRecord) -> str:
    if not newest.tests:
        return paragraph("Too few answers to test.")
    return table(TEST_COLUMNS, test_rows(newest), numeric=(1, 2, 3, 4))


def _all(looks: Sequence[LookRecord], total: int) -> str:
    rows = []
    for look in reversed(looks):
        raised = list(dict.fromkeys(named(test.detector) for test in look.tests if test.alarm))
        raised += ["accuracy"] if any(str(a["key"]).startswith("accuracy:") for a in look.alarms) else []
        estimate = "" if look.estimate is None else f"{look.estimate.accuracy:.1%}"
        audit = "" if look.audit is None else f"{look.audit.accuracy:.1%}"
        rows.append((look.window.name, f"{look.window.n:,}", estimate, audit, ", ".join(raised), "; ".join(look.notes)))
    drawn = table(("window", "answers", "estimated", "audited", "alarms", "notes"), rows, numeric=(1, 2, 3))
    more = paragraph(f"{total - len(looks):,} earlier looks are in looks.jsonl.") if total > len(looks) else ""
    return (drawn if len(rows) <= 12 else details(f"{len(rows):,} looks", drawn)) + more


def _facts(done: Monitored, newest: LookRecord) -> str:
    told = {
        "model": done.model,
        "reference": done.reference,
        "windows": f"a {done.every} each, in UTC",
        "power": done.power or "unknown: accuracy has no judged samples to start from",
        "false alarms": "5 % or less in a year of looks, for all of this page together",
        "not looked at": ", ".join(named(name) for name in newest.left_out) or "nothing is left out",
        "notes": "; ".join(done.notes),
    }
    return facts({name: value for name, value in told.items() if value})
