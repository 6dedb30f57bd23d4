"""``emolab backup``: the workspace in one file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from emolab.cli.common import Session, workspace_command
from emolab.words import many

if TYPE_CHECKING:
    from emolab.loop.data.backup.writing import Written

#: Files named on the screen; --json has all of them.
SHOWN = 5


@click.command(short_help="Keep the workspace in one file, while others work in it.")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--without", "leave_out", multiple=True, type=click.Choice(["media", "studio", "catalog"]),
    help="Leave out the images, the embedded Label Studio, or a catalog that is no file; repeatable.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Replace FILE when it is there.")
@workspace_command
def backup(session: Session, file: Path, leave_out: tuple[str, ...], force: bool) -> None:
    """Write catalog, images, models, settings and the embedded Label Studio into FILE, whole or not at all.

    Other commands and annotators may go on: the catalog and Label Studio's database are kept as they are at one moment.
    Caches, predictions, logs and the FiftyOne view are left out; they are made again. FILE is for you alone (mode
    0600): Label Studio's accounts are in it. Bring it back with: emolab restore FILE
    """
    from emolab.loop.data.backup.writing import backup as run

    done = run(session.workspace, file, leave_out=leave_out, overwrite=force, progress=session.progress)
    session.emit(done)
    _show(session, done)


def _show(session: Session, done: Written) -> None:
    from emolab.cli.common import escape

    held = done.manifest
    session.say(
        f"[green]✓[/] {many(len(held.members), 'file')}, {many(held.samples, 'sample')}, "
        f"{done.file.stat().st_size / 1e6:,.1f} MB in [bold]{escape(str(done.file))}[/]"
    )
    if held.left_out:
        session.say(f"  [yellow]left out:[/] {', '.join(held.left_out)}")
    if done.missing:
        session.say(
            f"[yellow]![/] lost before this backup: {many(len(done.missing), 'image')} of the catalog, "
            f"{escape(', '.join(done.missing[:SHOWN]))}. Collect the originals again."
        )
    if done.vanished:
        session.say(f"  [dim]{many(len(done.vanished), 'file')} went away meanwhile: a command replaced them.[/]")
    secret = "passwords and tokens of Label Studio's accounts, as Label Studio keeps them, and " * (
        "studio" not in held.left_out
    )
    session.say(f"  [dim]For you alone (mode 0600): it holds {secret}the key behind pseudonyms.[/]")
    session.next_step(f"emolab restore {quoted(done.file)} --dry-run   (checks every byte)")


def quoted(path: Path) -> str:
    """``path`` as it can be typed, safe for :meth:`Session.next_step`."""
    import shlex

    from emolab.cli.common import escape

    return escape(shlex.quote(str(path)))
