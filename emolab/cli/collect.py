"""``emolab collect``: images, archives, videos or a camera become samples."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from emolab.cli.common import Session, other_files, within, workspace_command
from emolab.ranges import WORDS
from emolab.words import many, push_command

if TYPE_CHECKING:
    from emolab.datasets.collect.collect import Collected
    from emolab.datasets.splits.guessed_voices import GuessedSpeakers

#: Problem lines shown on the terminal; the log has all of them.
_SHOWN = 8


@click.command()
@click.argument("paths", nargs=-1, metavar="[PATH]...", type=str)
@click.option(
    "--faces",
    type=click.Choice(WORDS["collect.faces"]),
    help="Cut out faces; off keeps images as they are. Default: collect.faces.",
)
@click.option(
    "--group-by",
    metavar="folder|REGEX|TABLE",
    help="What must never be split: the folder, what the first group of REGEX finds in the path, or what "
    "a CSV table has for it (columns path and group, or speaker).",
)
@click.option(
    "--every",
    type=within("collect.every"),
    metavar="SECONDS",
    help="Time between two frames of a video or camera. Default: collect.every.",
)
@click.option(
    "--transcriber",
    metavar="DIR",
    help="Write down what is said in recordings, with the whisper model in DIR. Default: collect.transcriber.",
)
@click.option(
    "--guess-speakers",
    is_flag=True,
    help="Group clips without a known speaker by their voice, by collect.speaker_encoder; marked as guessed.",
)
@click.option("--consent", metavar="TEXT", help="What the people shown agreed to; kept with every sample.")
@click.option("--name", metavar="NAME", help="The source of new samples, to count or remove them by.  [collected]")
@click.option("--camera", metavar="N", help="Take pictures from camera N until Ctrl-C.")
@click.option("--limit", type=within("option.count"), metavar="N", help="Stop the camera after N pictures.")
@click.option("--dry-run", is_flag=True, help="Read and check everything, keep nothing.")
@workspace_command
def collect(
    session: Session,
    *,
    paths: tuple[str, ...],
    faces: str | None,
    group_by: str | None,
    every: float | None,
    transcriber: str | None,
    guess_speakers: bool,
    consent: str | None,
    name: str | None,
    camera: str | None,
    limit: int | None,
    dry_run: bool,
) -> int:
    """Bring in images, recordings, sentences, videos or a camera's pictures as samples.

    PATH is a file, a folder, a zip, a video or a pattern such as "photos/*/*.jpg". Metadata are taken off, faces
    cut out, duplicates kept once. Whatever cannot be read is listed, the rest go through; running it again goes on
    where it stopped. Exit code 1 when something could not be read.
    """
    if bool(paths) == (camera is not None):
        raise click.UsageError("Give one or more paths, or --camera N.")
    from emolab.loop.data.collect import collect as run

    device = int(camera) if camera is not None and camera.isdigit() else camera
    with _graceful(session) as stopped:
        done = run(
            session.workspace,
            paths,
            camera=device,
            limit=limit,
            faces=faces,
            every=every,
            transcriber=transcriber,
            group_by=group_by,
            guess_speakers=guess_speakers,
            consent=consent,
            name=name,
            dry_run=dry_run,
            stopped=stopped,
            progress=session.progress,
        )
    session.emit(done)
    _show(session, done, dry_run=dry_run)
    if done.one_group is not None:
        _warn_of_one_group(session, done.one_group, done.report.added, dry_run=dry_run)
    if done.guessed is not None and done.guessed.clips > 1 and done.guessed.groups == 1:
        session.say(
            "[yellow]![/] By their voices all of these clips may be one speaker; a group is never split.\n"
            "  [dim]If they are several: name them with[/] --group-by[dim], or raise[/] collect.speaker_limit[dim].[/]"
        )
    if done.stopped:
        session.say("[yellow]Stopped early;[/] everything up to here is kept. Run the same command again to go on.")
        return 130
    if dry_run:
        session.next_step("the same without --dry-run")
    elif done.report.items:
        session.next_step(_next(session))
    return 1 if done.report.failed else 0


def _warn_of_one_group(session: Session, group: str, added: int, *, dry_run: bool) -> None:
    from emolab.cli.common import escape

    session.say(f"[yellow]![/] All {added:,} new samples are in one group, {escape(group)}; a group is never split.")
    session.say(
        "  [dim]To divide them: another[/] --group-by[dim], folder or a REGEX that finds the person in a path.[/]"
        if dry_run
        else "  [dim]To divide them: collect other groups too, or begin a new workspace with another\n"
        "  [/]--group-by[dim], folder or a REGEX that finds the person in a path.[/]"
    )


def _next(session: Session) -> str:
    """What to type when new samples have come: a model chooses from them where there is one."""
    from emolab.loop.data.collect import sendable
    from emolab.loop.model.models import champion

    n, free = session.workspace.config.suggest.n, sendable(session.workspace)
    if free and champion(session.workspace) is not None:
        return f"emolab suggest -n {min(n, free)} --push"
    return push_command(free, n)


@contextmanager
def _graceful(session: Session) -> Iterator[Callable[[], bool]]:
    """Let the first Ctrl-C end the run between two inputs; the second one ends it at once."""
    asked = False

    def ask(_number: int, _frame: Any) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        session.progress.note("Stopping after what is in progress; Ctrl-C again to stop at once.")

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, before)


def _show(session: Session, done: Collected, *, dry_run: bool) -> None:
    from emolab.cli.common import escape

    report = done.report
    known = f"{many(report.skipped, 'input')} not read again" if report.skipped else ""
    rows = [
        ("would be added" if dry_run else "added", f"{report.added:,}", _details(done)),
        ("already known", f"{report.existing:,}", known),
    ]
    if done.near is not None and done.near.surplus:
        rows.append(("near-duplicates", f"{done.near.surplus:,}", "in the workspace; one of each group is suggested"))
    if done.guessed is not None:
        rows.append(("guessed speakers", f"{done.guessed.groups:,}", _guesses(done.guessed)))
    rows += [(f"[red]{kind}[/]", f"{n:,}", "failed") for kind, n in report.kinds.most_common()]
    rows += [(f"[yellow]{kind}[/]", f"{n:,}", "noted") for kind, n in report.notes.most_common()]
    if done.ignored:
        rows.append(other_files(done.ignored))
    title = "Dry run: nothing kept" if dry_run else None
    session.table([many(report.items, "input"), ("", "right"), ""], rows, title=title)
    for problem in report.problems[:_SHOWN]:
        style = "yellow" if problem.taken else "red"
        session.say(f"[{style}]{escape(problem.kind)}[/]  {escape(problem.path)}")
        session.say(f"    [dim]{escape(problem.message)}[/]")
    if done.log is not None:
        more = report.failed + report.notes.total() - _SHOWN
        session.say(f"{f'[dim]{more:,} more.[/] ' if more > 0 else ''}[dim]All lines:[/] {escape(str(done.log))}")


def _guesses(guessed: GuessedSpeakers) -> str:
    parts = [f"{many(guessed.clips, 'clip')} grouped by voice, a guess"]
    if guessed.joined:
        parts.append(f"{guessed.joined:,} of them joined earlier guesses")
    if guessed.unread:
        parts.append(f"{guessed.unread:,} could not be read")
    return ", ".join(parts)


def _details(done: Collected) -> str:
    report = done.report
    parts = []
    if report.faces:
        parts.append(f"{many(report.faces, 'face')} cut out")
    if report.whole:
        parts.append(f"{report.whole:,} kept whole, no face found")
    return ", ".join(parts)
