"""``emolab init``: create a workspace."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from emolab.cli.common import Session, escape, workspace_command
from emolab.words import many


@click.command(short_help="Create a workspace.")
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path), default=".", metavar="[DIR]")
@click.option("--classes", default="ferplus8", show_default=True, metavar="ferplus8|ekman7|NAME,NAME,...",
              help="The emotions to tell apart: a preset or your own list, 2 to 29.")  # fmt: skip
@click.option("--modality", default="image", show_default=True,
              help="What a sample is: image (of a face), audio (a clip of a voice) or text (a sentence).")  # fmt: skip
@workspace_command
def init(session: Session, directory: Path, classes: str, modality: str) -> None:
    """Create a workspace in DIR (default: here): emolab.toml, and .emolab/ for everything else.

    Safe to run again.
    """
    from emolab.taxonomy import parse_classes
    from emolab.workspace import Workspace

    workspace = Workspace.init(directory, classes=parse_classes(classes), modality=modality)
    project = workspace.config.project
    session.emit({"workspace": workspace.root, "classes": project.classes, "modality": project.modality})
    session.say(f"[green]✓[/] workspace [bold]{escape(project.name)}[/] in {escape(str(workspace.root))}")
    session.say(f"  {many(len(project.classes), 'class', 'classes')}: {', '.join(project.classes)}")
    session.next_step(
        f"cd {escape(shlex.quote(str(directory)))} && emolab collect PATH"
        if directory != Path()
        else "emolab collect PATH"
    )
