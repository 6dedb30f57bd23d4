"""``emolab doctor``: check what works on this machine and how to fix the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from emolab.cli.common import Session, workspace_command

if TYPE_CHECKING:
    from emolab.loop.operate.checks.check import Check
    from emolab.loop.operate.doctor import Checkup


@click.command(short_help="Check what works on this machine and how to fix the rest.")
@workspace_command
@click.pass_context
def doctor(ctx: click.Context, session: Session) -> None:
    """Check Python, PyTorch, GPU, OpenCV, the face detector, HEIC, sound, FiftyOne and its database, Label Studio,
    disk, camera, the catalog and alerts.

    Works anywhere; inside a workspace it also checks the catalog, the Label Studio server of the settings, and whether
    anybody hears of an alarm.
    Ends with status 1 when something the loop needs is missing; a GPU, a camera or imgaug are welcome, not needed.
    """
    with session.progress.task("looking at this machine"):
        found = _look(session)
    session.emit(found)
    if not session.json:
        show(session, found.checks)
    ctx.exit(0 if found.healthy else 1)


def _look(session: Session) -> Checkup:
    from emolab.errors import EmolabError
    from emolab.loop.operate.doctor import doctor as run

    try:
        return run(session.workspace)
    except EmolabError as error:
        return run(problem=error)


def show(session: Session, checks: list[Check]) -> None:
    """The table, what must be fixed, what may be added, and the verdict."""
    from emolab.cli.common import escape

    marks = {"works": "[green]✓ works[/]", "missing": "[red]✗ missing[/]", "broken": "[red]✗ broken[/]"}
    mild = {"missing": "[dim]· none[/]", "broken": "[yellow]! broken[/]"}
    rows = [
        (check.name, mild.get(check.state, marks[check.state]) if not check.needed else marks[check.state],
         escape(check.detail))
        for check in checks
    ]  # fmt: skip
    session.table(["", "state", "found"], rows, title="emolab doctor")
    wanting = [check for check in checks if check.fix and check.state != "works"]
    for needed, title in ((True, "To fix"), (False, "Optional")):
        listed = [check for check in wanting if check.needed == needed]
        if not listed:
            continue
        session.say(f"[bold]{title}[/]")
        for check in listed:
            what = f"{check.name} adds {check.adds}" if check.adds else check.name
            # A command that is wrapped cannot be copied.
            session.console.print(f"  {what}: [cyan]{escape(check.fix or '')}[/]", soft_wrap=True)
        session.say("")
    lacking = [check.name for check in checks if check.needed and check.state != "works"]
    if lacking:
        session.say(f"[red]✗[/] needed and not working: {', '.join(map(escape, lacking))}")
    else:
        session.say("[green]✓[/] everything the loop needs works here")
