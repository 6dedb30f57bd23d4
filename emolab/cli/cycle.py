"""``emolab cycle``: continuous training, one turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from emolab.cli.common import Session, escape, workspace_command

if TYPE_CHECKING:
    from emolab.loop.operate.cycle.run_cycle import Cycled


@click.command(short_help="Pull, train, suggest and push, where enough votes are new.")
@click.option("--now", is_flag=True, help="However few votes are new.")
@click.option("--dry-run", is_flag=True, help="Say what would be done with the votes that are here; change nothing.")
@workspace_command
def cycle(session: Session, *, now: bool, dry_run: bool) -> int:
    """Turn the loop once: pull votes and, where enough are new, aggregate, train, promote, suggest and push.

    Made for a timer: it ends at once where nothing is new. One that was stopped, at whatever step, goes on where it was
    and does nothing twice. Exit code 0: complete, or nothing new; 1: a step failed, and the next call tries it again;
    3: complete, but the gate has blocked the new model.
    """
    from emolab.loop.operate.cycle.run_cycle import BLOCKED
    from emolab.loop.operate.cycle.run_cycle import cycle as run

    done = run(session.workspace, now=now, dry_run=dry_run, progress=session.progress)
    session.emit(done)
    _show(session, done)
    return 3 if done.outcome == BLOCKED else 0


def _show(session: Session, done: Cycled) -> None:
    head = done.outcome if done.number is None else f"cycle {done.number} {done.outcome}"
    session.say(f"[bold]{head[0].upper()}{head[1:]}[/]: {escape(done.reason)}")
    if done.steps:
        session.table(
            ["step", "what it came to", ("CPU s", "right"), "done by"],
            [
                (step.step, escape(step.words()), f"{step.cpu_s:,.1f}", "an earlier run" if step.before else "this run")
                for step in done.steps
            ],
        )
    session.wrote("report", done.report)
