"""``emolab restore``: a workspace from a backup."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from emolab.cli.common import Session, workspace_command
from emolab.words import many

if TYPE_CHECKING:
    from emolab.loop.data.backup.manifest import Manifest
    from emolab.loop.data.backup.restoring import Restored


@click.command(short_help="Bring a workspace back from a backup.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path), required=False, metavar="[DIR]")
@click.option("--force", is_flag=True, help="Put it in place of the workspace in DIR, which is moved aside.")
@click.option("--dry-run", is_flag=True, help="Check every byte of FILE and change nothing.")
@workspace_command
def restore(session: Session, file: Path, directory: Path | None, force: bool, dry_run: bool) -> None:
    """Make the workspace of the backup FILE in DIR (default: the folder of -w, else here).

    Every byte is checked before anything changes. With --force the workspace in DIR is moved into a folder
    .emolab-before-...; parts that the backup left out stay. Label Studio's administrator gets a new password from
    "emolab studio up".
    """
    from emolab.loop.data.backup import restoring

    if dry_run:
        found = restoring.check_backup(file, progress=session.progress)
        session.emit(found)
        session.say(f"[green]✓[/] every byte of it is as it was kept: {_held(found)}")
        return
    root = (directory or session.folder or Path()).resolve()
    done = restoring.restore(file, root, overwrite=force, progress=session.progress)
    session.emit(done)
    _show(session, done)


def _show(session: Session, done: Restored) -> None:
    from emolab.cli.backup import quoted
    from emolab.cli.common import escape
    from emolab.loop.data.backup.restoring import settings_of

    held = done.manifest
    session.say(f"[green]✓[/] workspace in [bold]{escape(str(done.root))}[/]: {_held(held)}")
    if done.before is not None:
        session.say(f"  what was there lies in {escape(str(done.before))}; delete it when all is well")
    if done.forgotten:
        session.say(f"  {many(done.forgotten, 'sample')} in it had been forgotten here, and were erased again")
    elif done.forgotten is None:
        session.say("  [yellow]not looked for:[/] samples that were forgotten. Fix emolab.toml, then restore again")
    if held.left_out:
        session.say(f"  [yellow]not in the backup:[/] {', '.join(held.left_out)}")
    settings = settings_of(done.root)
    if settings is None:
        session.say("[yellow]![/] this emolab cannot read its emolab.toml: see emolab status")
    elif settings.catalog.url and "catalog" not in held.left_out:
        session.say(
            "[yellow]![/] its settings name another catalog (catalog.url); the one of the backup is "
            ".emolab/catalog.db. Take that line out of emolab.toml to use it."
        )
    session.next_step(f"emolab -w {quoted(done.root)} status")


def _held(found: Manifest) -> str:
    from emolab.cli.common import escape

    return (
        f"{many(len(found.members), 'file')}, {many(found.samples, 'sample')} of {escape(found.project)}, kept "
        f"{escape(found.created_at[:16].replace('T', ' '))} UTC by emolab {escape(found.emolab)}"
    )
