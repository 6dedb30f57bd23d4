"""``emolab monitor``: whether the model at work is still right."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from emolab.cli.common import Session, escape, within, workspace_command
from emolab.words import many, short

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emolab.loop.operate.monitor.run_monitor import Monitored
    from emolab.monitoring.alerts.send import Delivery

#: Looks of a table.
SHOWN = 12


@click.command(short_help="Is the model at work still right? Looks at what it is asked.")
@click.argument("model", default="champion")
@click.option(
    "--reference", metavar="WHAT", help="judged, valid, test, holdout, first, or days FROM..TO; begins a new watch."
)
@click.option("--every", type=click.Choice(["day", "week"]), help="Length of a window; another begins a new watch.")
@click.option("--report", type=click.Path(path_type=Path), metavar="PATH", help="Where the page goes.")
@click.option("--audit", "n", type=within("monitor.audit"), metavar="N", help="Have N samples of the window labelled.")
@click.option("--test-alert", is_flag=True, help="Only send a made-up alarm by every channel of [alerts].")
@workspace_command
def monitor(
    session: Session,
    *,
    model: str,
    reference: str | None,
    every: str | None,
    report: Path | None,
    n: int | None,
    test_alert: bool,
) -> int:
    """Look at what MODEL was asked, week by week, beside a reference, and say what has moved.

    `emolab serve` keeps what it is asked where serve.log is on. Each window that has ended is looked at once; a second
    call shows the look again. The false alarms of a whole year have a chance of 5 % or less. Exit code 0: quiet; 3: the
    newest look has an alarm; 1: it cannot be told.
    """
    if test_alert:
        return _try(session, alone=not (reference or every or report or n))
    if n is not None:
        if reference or every or report:
            raise click.UsageError("--audit looks at no window, so it stands alone: emolab monitor MODEL --audit N")
        return _audit(session, model, n)
    from emolab.loop.operate.monitor.run_monitor import ALARM
    from emolab.loop.operate.monitor.run_monitor import monitor as run

    done = run(session.workspace, model, reference=reference, every=every, report=report, progress=session.progress)
    session.emit(done)
    _show(session, done)
    return 3 if done.outcome == ALARM else 0


def _show(session: Session, done: Monitored) -> None:
    from emolab.loop.operate.monitor.look_words import TEST_COLUMNS, audit_words, estimate_words, test_rows
    from emolab.loop.operate.monitor.run_monitor import WAITING

    newest = done.newest
    name = "" if done.model.startswith(done.name) else f" ({escape(done.name)})"
    head = f"[bold]Model {short(done.model)}[/]{name}"
    if newest is None:
        session.say(f"{head}: {WAITING}.")
    else:
        taken = f"{done.new} new" if done.new else "nothing new"
        session.say(
            f"{head}, {newest.window.name}: {newest.window.n:,} answers beside {escape(done.reference)} ({taken})."
        )
        if newest.tests:
            session.table(
                [
                    (name, "right") if name in ("windows", "answers", "times chance", "p") else name
                    for name in TEST_COLUMNS
                ],
                [
                    (*row[:5], f"[bold red]{row[5]}[/]" if row[5] else "", escape(row[6]))
                    for row in test_rows(newest, each=True)
                ],
            )
        if words := estimate_words(newest, done.judged):
            session.say(f"Estimated accuracy {words}.")
        if words := audit_words(done.looks, done.every):
            session.say(f"Audited accuracy {escape(words)}")
        session.say(f"[dim]{done.power}[/]" if done.power else "")
    session.notes((*done.notes, *(newest.notes if newest is not None else ())))
    for alarm in done.alarms:
        session.say(f"[bold red]alarm:[/] {escape(alarm.title)}")
        session.say("\n".join(f"  {escape(line)}" for line in alarm.words.splitlines()))
    if newest is not None and not done.alarms:
        quiet = "[green]✓[/] quiet: nothing has moved that chance would not explain."
        session.say(quiet if newest.tests else "[dim]Nothing could be tested in this window.[/]")
    _told(session, done.told)
    session.wrote("report", done.report)


def _told(session: Session, told: Sequence[Delivery]) -> None:
    """Who was told of what, a line for each channel."""
    from emolab.loop.operate.monitor.look_words import named

    mark = {"sent": "[green]✓[/] told by", "repeated": "[dim]told lately by[/]", "failed": "[red]✗[/] not told by"}
    alike: dict[tuple[str, str, str], list[str]] = {}
    for one in told:
        kind, _, rest = one.key.partition(":")
        what = named(rest.partition(":")[2]) if kind == "drift" else kind
        alike.setdefault((one.state, one.channel, one.why), []).append(what)
    for (state, channel, why), whats in alike.items():
        session.say(f"{mark[state]} {escape(channel)}: {escape('; '.join(whats))}{escape(f' ({why})' if why else '')}")


def _try(session: Session, *, alone: bool) -> int:
    from emolab.loop.operate.monitor.try_channels import try_channels

    if not alone:
        raise click.UsageError("--test-alert looks at no model, so it stands alone: emolab monitor --test-alert")
    tried = try_channels(session.workspace)
    session.emit(tried)
    _told(session, tried.told)
    return 1 if any(one.state == "failed" for one in tried.told) else 0


def _audit(session: Session, model: str, n: int) -> int:
    from emolab.loop.operate.monitor.audit_round import BELOW, audit

    made = audit(session.workspace, model, n=n, progress=session.progress)
    session.emit(made)
    drawn = (
        f"{many(made.n, 'sample')} of {made.population:,}" if made.new else f"{many(made.n, 'sample')}, drawn before,"
    )
    session.say(f"[bold]Audit of {made.window}[/]: {drawn} as round {made.round}.")
    if made.learned:
        session.notes([f"{many(made.learned, 'sample')} of the window left out: the model has learned from them"])
    if made.unfit:
        session.notes([f"{many(made.unfit, 'sample')} of the window left out: {BELOW}; the audit says nothing of them"])
    if made.push is None:
        session.say("[dim]cycle.push is off: people vote in the app, or somebody sends it.[/]")
    else:
        session.say(f"[green]✓[/] in “{escape(made.push.project)}” · {escape(made.push.url)}")
    session.next_step("emolab label pull, once people have answered, then emolab monitor")
    return 0
