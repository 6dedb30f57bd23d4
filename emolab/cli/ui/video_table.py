"""``emolab predict`` for a video: what it asks for, and what it prints."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from emolab.cli.common import Session
    from emolab.loop.model.predict_video import VideoPredicted

#: Faces shown on the terminal.
_SHOWN = 20
#: What means nothing for a video: parameter -> option.
_ONLY_IMAGES = {
    **{name: name for name in ("faces", "unsure", "coverage", "out")},
    "group_by": "group-by",
    "draw_to": "draw",
    "explain_to": "explain",
}


def has_video(paths: Sequence[Path], timeline: Path | None, report: Path | None) -> bool:
    """Whether one of ``paths`` is a video. Raises ``UsageError`` where only a video could have what is asked for."""
    from emolab.loop.model.predict_video import is_video

    found = any(is_video(path) for path in paths)
    if not found and (timeline is not None or report is not None):
        raise click.UsageError("--timeline and --report are for a video.")
    return found


def predict_one_video(
    session: Session,
    model: str | Path,
    paths: Sequence[Path],
    *,
    flips: bool | None,
    device: str | None,
    form: str | None,
    timeline: Path | None,
    report: Path | None,
) -> None:
    """Follow the faces of the one video in ``paths`` and say what they show; with a ``form``, print all rows.

    Raises ``UsageError`` for more paths, and for options that mean something for images only.
    """
    from emolab.cli.ui.model_options import config_of, workspace_of
    from emolab.loop.model.predict_video import predict_video

    params = click.get_current_context().params
    given = [f"--{option}" for name, option in _ONLY_IMAGES.items() if params.get(name)]
    if given:
        raise click.UsageError(f"{' and '.join(given)} can be given for images only, not for a video.")
    if len(paths) > 1:
        raise click.UsageError("Give one video, and nothing else with it.")
    to_stdout = form is not None and not session.json
    if form is not None and timeline is not None:
        raise click.UsageError(f"Give --{form} or --timeline, not both: they are the same rows.")
    done = predict_video(
        model,
        paths[0],
        workspace=workspace_of(session, settled=True),
        config=config_of(session),
        flips=flips,
        device=device,
        timeline=sys.stdout if to_stdout else timeline,
        form=form if to_stdout else None,
        report=report,
        progress=session.progress,
    )
    session.emit(done)
    _show(session, done)
    session.notes(done.notes)
    session.wrote("timeline", done.timeline)
    session.wrote("report", done.report)


def _show(session: Session, done: VideoPredicted) -> None:
    from emolab.words import many

    longest = sorted(done.faces, key=lambda face: -face["frames"])[:_SHOWN]
    rows = [
        (face["track"], f"{face['first']:.1f} s", f"{face['last']:.1f} s", f"{face['frames']:,}", face["label"],
         f"{face['confidence']:.0%}")
        for face in sorted(longest, key=lambda face: int(face["track"]))
    ]  # fmt: skip
    columns: list[str | tuple[str, str]] = [
        "face",
        ("from", "right"),
        ("to", "right"),
        ("frames", "right"),
        "mostly",
        ("mean", "right"),
    ]
    if rows:
        session.table(columns, rows)
    more = len(done.faces) - len(rows)
    left = f", {more:,} more faces not shown" if more else ""
    session.say(f"[dim]{done.seconds:.1f} s, {many(done.frames, 'frame')}, {many(done.cuts, 'cut')}{left}[/]")
