"""``emolab predict VIDEO``: faces, voice and words of a video, what it asks for and what it prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from emolab.cli.common import Session
    from emolab.loop.model.film.predict_film import FilmPredicted

#: What --report without a FILE means: a page beside the video.
BESIDE = "VIDEO.html"
#: Turns shown on the terminal, and letters of what is said in one.
_SHOWN, _LETTERS = 40, 40
#: What means nothing here: parameter -> option.
_NOT_HERE = {
    **{name: name for name in ("faces", "unsure", "coverage", "out", "timeline")},
    "group_by": "group-by",
    "draw_to": "draw",
    "explain_to": "explain",
    "as_csv": "csv",
    "as_lines": "jsonl",
}


def channels_of(model: str, paths: Sequence[Path], channels: Mapping[str, object]) -> bool:
    """Whether the only thing given is a video, whose channels are judged together.

    Raises ``UsageError`` where a model came without a path, or options of channels with one.
    """
    from emolab.loop.model.predict_video import is_video

    given = [f"--{name}" for name, value in channels.items() if value is not None]
    if paths:
        if given:
            raise click.UsageError(
                f"{' and '.join(given)}: give the video alone, and its models as --face, --voice and --words."
            )
        return False
    if not given and not is_video(model):
        raise click.UsageError("Missing argument 'PATH...'.")
    return True


def report_beside(report: Path | None, paths: Sequence[Path]) -> Path | None:
    """Where the page is written: beside the video where no FILE was named."""
    return paths[0].with_suffix(".html") if report == Path(BESIDE) and paths else report


def predict_one_film(
    session: Session,
    video: Path,
    *,
    report: Path | None,
    timeline: Path | None,
    flips: bool | None,
    device: str | None,
    weights: str | None,
    **channels: Any,
) -> None:
    """Judge the channels of ``video`` and say what they come to.

    Raises ``UsageError`` for options that mean something elsewhere only, and for a report that is no page by its name.
    """
    from emolab.cli.ui.model_options import config_of, workspace_of
    from emolab.loop.model.film.predict_film import predict_film

    params = click.get_current_context().params
    wrong = [f"--{option}" for name, option in _NOT_HERE.items() if params.get(name)]
    wrong += ["--timeline"] if timeline is not None and "--timeline" not in wrong else []
    wrong += ["--flips"] if flips is not None else []
    if wrong:
        raise click.UsageError(f"{' and '.join(wrong)}: not for faces, voice and words together; --json has them all.")
    page = report_beside(report, [video])
    if page is not None and page.suffix.lower() not in (".html", ".htm"):
        raise click.UsageError(f"--report {page}: a page is called .html.")
    done = predict_film(
        video,
        workspace=workspace_of(session, settled=True),
        config=config_of(session),
        weights=_weights(weights),
        report=page,
        device=device,
        progress=session.progress,
        **channels,
    )
    session.emit(done)
    _show(session, done)
    session.notes(done.notes)
    session.wrote("report", done.report)


def _weights(text: str | None) -> dict[str, float]:
    """``face=1,words=0.5``. Raises ``UsageError`` for what is not of this kind."""
    found: dict[str, float] = {}
    for part in text.split(",") if text else ():
        name, equals, value = part.partition("=")
        try:
            found[name.strip()] = float(value)
        except ValueError:
            equals = ""
        if not equals:
            raise click.UsageError(f'--weights: "{part}" is no CHANNEL=WEIGHT, such as words=0.5.')
    return found


def _show(session: Session, done: FilmPredicted) -> None:
    from emolab.cli.common import escape
    from emolab.words import many

    names = [name for name, model in done.models.items() if model is not None]
    rows = []
    for turn in done.turns[:_SHOWN]:
        said = [turn["said"][name] for name in names]
        answers = ["" if one is None else one["label"] for one in said]
        whole = "" if turn["label"] is None else f"{turn['label']} {turn['confidence']:.0%}"
        text = turn["text"] or ""
        short = text if len(text) <= _LETTERS else f"{text[:_LETTERS]}..."
        when = f"{turn['begin']:.1f}-{turn['end']:.1f} s"
        rows.append((when, escape(turn["speaker"] or "a voice"), *answers, whole, escape(short)))
    if rows:
        columns: list[str | tuple[str, str]] = [("when", "right"), "who", *names, ("together", "whole"), "said"]
        kept = [i for i in range(len(columns)) if any(row[i] for row in rows)]
        session.table([columns[i] for i in kept], [[row[i] for i in kept] for row in rows])
    else:  # nothing is heard or read: what the faces show is all there is
        for face in done.faces[:_SHOWN]:
            share = f"{face['label']} {face['confidence']:.0%}"
            session.say(f"face {face['track']}: {share} on average, {face['first']:.1f}-{face['last']:.1f} s")
    more = len(done.turns) - len(rows)
    left = f", {more:,} more turns not shown" if more > 0 else ""
    faces, turns = many(len(done.faces), "face"), many(len(done.turns), "turn")
    session.say(f"[dim]{done.seconds:.1f} s, {faces}, {turns}{left}[/]")
