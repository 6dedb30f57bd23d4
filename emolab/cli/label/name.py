"""``emolab label name``: a nickname for an annotator, kept here."""

from __future__ import annotations

import click

from emolab.cli.common import Session, workspace_command


@click.command("name", short_help="Give an annotator a name that is kept here only.")
@click.argument("pseudonym")
@click.argument("nickname", metavar="[NAME]", required=False)
@click.option("--remove", is_flag=True, help="Take the name away again.")
@workspace_command
def name(session: Session, pseudonym: str, nickname: str | None, *, remove: bool) -> None:
    """Call the annotator PSEUDONYM by NAME in "emolab label status".

    The name stays in this workspace's catalog. It is never sent to Label Studio, and it is in no export unless you ask
    for it ("emolab label export --nicknames").
    """
    from emolab.cli.common import escape
    from emolab.loop.label.nickname import nickname as give

    if (nickname is None) != remove:
        raise click.UsageError("Give a NAME, or --remove.")
    done = give(session.workspace, pseudonym, nickname)
    session.emit(done)
    who, present, before = escape(done.annotator), done.nickname, done.before
    if present is None:
        session.say(f"[green]✓[/] {who} has no name any more" + (f", was {escape(before)}" if before else ""))
    else:
        session.say(f"[green]✓[/] {who} is {escape(present)} here; Label Studio is never told the name")
