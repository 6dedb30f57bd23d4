"""``emolab label pull``: the team's answers become votes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from emolab.cli.common import Session, escape, within, workspace_command
from emolab.words import many

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emolab.labeling.sync.pull import PullReport


@click.command(short_help="Bring back the team's answers as votes.")
@click.option("--watch", is_flag=True, help="Keep pulling until Ctrl-C.")
@click.option("--every", type=within("option.pause"), default=5.0, show_default=True, metavar="SECONDS",
              help="Pause between two pulls of --watch.")  # fmt: skip
@click.option("--reconcile", is_flag=True, help="Read every task again, not only what changed.")
@click.option("--accept-withdrawn", type=within("option.count"), metavar="N",
              help="Withdraw exactly the N votes that a pull held back.")  # fmt: skip
@click.option("--project", "title", metavar="NAME", help="Only this project [all that were pushed to].")
@workspace_command
def pull(
    session: Session, *, watch: bool, every: float, reconcile: bool, accept_withdrawn: int | None, title: str | None
) -> int:
    """Bring new, edited and deleted answers into the ledger of votes.

    Only what changed is read, each answer counts once, and people appear under pseudonyms. Skips, empty answers and
    labels that are no class are kept as rejected votes, with the reason. When more than a tenth of the counted votes
    would be withdrawn at once, they stay until --accept-withdrawn names their exact number.
    """
    if watch and (reconcile or accept_withdrawn is not None):
        raise click.UsageError("Give --watch alone, without --reconcile and --accept-withdrawn.")
    from emolab.cli.ui.signals import terminated_like_ctrl_c
    from emolab.loop.label.pull import pull as run
    from emolab.loop.label.pull import watch as run_on

    if not watch:
        report = run(
            session.workspace,
            title=title,
            reconcile=reconcile,
            accept_withdrawn=accept_withdrawn,
            progress=session.progress,
        )
        session.emit(report)
        _show(session, report)
        _held(session, report)
        return 1 if report.held else 0
    with terminated_like_ctrl_c():
        told: Mapping[str, int] = {}
        for report in run_on(session.workspace, title=title, every=every, progress=session.progress):
            if report.changed or report.reordered or report.recalled or report.held != told:
                session.emit(report)
                session.say(_line(report))
            if report.held != told:
                _held(session, report)
                told = report.held
    return 0


def _line(report: PullReport) -> str:
    from datetime import datetime

    parts = [f"[green]+{report.new}[/] new", f"{report.edited} edited", f"{report.withdrawn} withdrawn"]
    if report.reordered:
        parts.append(f"{many(report.reordered, 'open task')} in a new place")
    if report.recalled:
        parts.append(f"{many(report.recalled, 'task')} taken off the server, without consent")
    if report.uncounted:
        parts.append(f"[yellow]{many(report.uncounted, 'task')} not counted by Label Studio: start it again[/]")
    return f"[dim]{datetime.now():%H:%M:%S}[/]  " + " · ".join(parts)


def _held(session: Session, report: PullReport) -> None:
    """Say which withdrawals wait for consent."""

    for title, count in report.held.items():
        session.say(
            f"[yellow]![/] {many(count, 'counted vote')} of “{escape(title)}” would be withdrawn: Label Studio does "
            "not show their answers any more. That is more than a tenth, so they stay. If somebody did delete them: "
            f"[bold cyan]emolab label pull --accept-withdrawn {count}[/]"
        )


def _show(session: Session, report: PullReport) -> None:
    for title in report.gone:
        session.say(f"[yellow]![/] project “{escape(title)}” was deleted in Label Studio; its votes stay")
    rows = [
        ("new answers", report.new),
        ("edited", report.edited),
        ("withdrawn (deleted there)", report.withdrawn),
        ("tasks deleted there", report.tasks_deleted),
        ("tasks of another machine, taken over", report.adopted),
        ("tasks of samples not collected here", report.foreign),
        ("tasks of forgotten samples, left out: delete them there", report.forgotten),
        ("second tasks of one sample, empty, removed", report.doubles_removed),
        ("second tasks with answers, out of the queue", report.twins_closed),
        ("empty projects of the same name, removed", report.projects_removed),
        ("annotators seen for the first time", report.people),
    ]
    if any(count for _, count in rows):
        session.table(
            [f"Pulled from “{escape(', '.join(report.projects))}”", ("", "right")],
            [(what, f"{count:,}") for what, count in rows if count],
        )
    if report.projects_merged:
        session.say(
            f"[yellow]![/] Label Studio holds several projects of this name; the answers in number "
            f"{', '.join(map(str, report.projects_merged))} count too, and emolab label push moves what is left there"
        )
    for reason, count in report.rejected.items():
        session.say(
            f"  [dim]{many(count, 'new answer does not count', 'new answers do not count')}: {escape(reason)}[/]"
        )
    if report.uncounted:
        session.say(f"[yellow]![/] {report.uncounted_words}")
    if report.by_others:
        session.say(
            f"[yellow]![/] {report.by_others:,} of these answers were written or changed by somebody else "
            "than the person they count for"
        )
    if report.recalled:
        session.say(f"[green]✓[/] {many(report.recalled, 'task')} taken off the server: the consent has ended")
    if report.reordered:
        session.say(f"[green]✓[/] {many(report.reordered, 'open task')} in a new place of the queue")
    if not report.changed:
        session.say(f"[green]✓[/] nothing new · {report.seconds:.2f} s")
    elif report.projects:
        session.say(f"[green]✓[/] {many(report.read, 'task')} read · {report.seconds:.2f} s")
        session.next_step("emolab label push --revotes" if _again(session) else "emolab label aggregate")


def _again(session: Session) -> bool:
    """Whether answered samples want one more opinion, and say how many."""
    from emolab.loop.label.pull import wanting_one_more

    count = wanting_one_more(session.workspace)
    if count:
        session.say(f"{many(count, 'answered sample wants', 'answered samples want')} one more opinion")
    return bool(count)
