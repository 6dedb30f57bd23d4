"""``emolab why``: where a sample, a model or a prediction comes from."""

from __future__ import annotations

import click

from emolab.cli.common import Session, escape, workspace_command
from emolab.words import short


@click.command(short_help="Say where a sample, a model or a prediction comes from.")
@click.argument("subject")
@workspace_command
def why(session: Session, subject: str) -> None:
    """Say where SUBJECT comes from: a sample or a model (a name or the start of an id), or MODEL:SAMPLE.

    Of a sample: its source and consent, every vote with who, when and which guess was shown, what made its label, which
    models learned or were judged by it, why it was suggested, what models said. Of a model: its data and who promoted
    it. People appear under their pseudonyms.
    """
    from emolab.loop.look.why import why as step

    found = step(session.workspace, subject)
    session.emit(found)
    name = ":".join(short(part) for part in found.subject.split(":"))
    session.say(f"[bold]{found.kind} {name}[/]")
    for line in found.lines:
        session.say(escape(line))
