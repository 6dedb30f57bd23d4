"""``emolab label push``: samples go to the team."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from emolab.cli.common import Session, consent, escape, within, workspace_command
from emolab.words import many, short

if TYPE_CHECKING:
    from emolab.labeling.sync.push import PushReport


#: A pool of up to this many samples is sent as a whole without asking back.
UNASKED = 500


@click.command(short_help="Send samples to the team.")
@click.option("--n", "-n", type=within("option.count"), metavar="N", help="N unlabelled samples, drawn at random.")
@click.option("--all", "everything", is_flag=True, help="Everything nobody has labelled, without asking back.")
@click.option("--suggestions", is_flag=True, help='What "emolab suggest" proposed and nobody has received yet.')
@click.option("--revotes", is_flag=True, help="One more person for answered samples that want it (labeling.votes).")
@click.option(
    "--overlap",
    type=within("labeling.overlap"),
    metavar="K",
    help="People who see each sample of the project [as it is; 3].",
)
@click.option("--project", "title", metavar="NAME", help='Project in Label Studio ["emolab <workspace>"].')
@click.option("--show-predictions", is_flag=True, default=None, help="Show the model's guess (this biases people).")
@click.option("--dry-run", is_flag=True, help="Say what would be sent, and send nothing.")
@workspace_command
def push(
    session: Session,
    *,
    n: int | None,
    everything: bool,
    suggestions: bool,
    revotes: bool,
    overlap: int | None,
    title: str | None,
    show_predictions: bool | None,
    dry_run: bool,
) -> int:
    """Send samples to the team's project in Label Studio, in the order that matters most.

    Without --n, --all or --suggestions: the pending suggestions if there are any, else every unlabelled sample; when
    that is more than 500, emolab asks first, and where nobody can answer it sends nothing. Safe to repeat, to stop, and
    to run from several machines: a sample gets one task. --revotes sends waiting suggestions too.

    Unlabelled samples are drawn at random, every source and group in its turn. Left out and counted are near copies and
    pictures without a face, blurred, flat or tiny: see labeling.faceless, max_blur, min_contrast and min_side.
    """
    if (n is not None) + everything + suggestions + revotes > 1:
        raise click.UsageError("Give one of --n, --all, --suggestions and --revotes.")
    from functools import partial

    from emolab.loop.label.push import push as run

    report = run(
        session.workspace,
        n=n,
        suggestions=suggestions,
        everything=everything,
        revotes=revotes,
        agree=partial(_agree, session),
        overlap=overlap,
        title=title,
        show_predictions=show_predictions,
        dry_run=dry_run,
        progress=session.progress,
    )
    session.emit(report)
    _show(session, report, overlap_given=overlap is not None)
    return 1 if report.missing else 0


def _agree(session: Session, count: int) -> None:
    """Ask before a large pool goes out as a whole. Raises :class:`DataError` without consent."""
    if count <= UNASKED:
        return
    part = "Send a part with: emolab label push -n 100"
    consent(
        session,
        f"All {count:,} samples that nobody has labelled would go to the team",
        "Send all of them?",
        besides=", and none would be left for [bold cyan]emolab suggest[/] to choose from",
        nothing="nothing was sent",
        ahead=part,
        remedy=f"{part}, or everything with --all.",
    )


def _show(session: Session, report: PushReport, *, overlap_given: bool) -> None:
    if report.note:
        session.say(f"[green]✓[/] nothing to push: {escape(report.note)}")
        _left_out(session, report)
        for what, count in _tidied(report):
            session.say(f"  {count:,} {what}")
        session.next_step("emolab label pull")
        return
    rows = [
        ("would be sent" if report.dry_run else "new tasks", report.created),
        ("left over from an earlier push", report.resumed),
        ("found there already", report.adopted),
        ("asked for one more opinion", report.reopened),
        *_tidied(report),
        ("broken requests looked up", report.looked_up),
        ("deleted there, left alone", report.deleted_there),
        ("file missing or unreadable", len(report.missing)),
    ]

    always = rows[:1]
    shown = [(what, f"{count:,}") for what, count in rows if count or (what, count) in always]
    what = "Would push" if report.dry_run else "Pushed"
    if not report.dry_run:
        shown.append(("waiting for the team now", f"{report.waiting:,}"))
        kinds = (("with the model's guess shown", report.guesses), ("with its guess hidden", report.blind))
        shown += [(f"  {what}", f"{count:,}") for what, count in kinds if count]
    session.table([f"{what} {report.source} to “{escape(report.project)}”", ("", "right")], shown)
    _left_out(session, report)
    _labels(session, report)
    for sample in report.missing[:5]:
        session.say(f"[yellow]![/] the file of sample {short(sample)} is missing or no image; run emolab collect again")
    wanted = session.workspace.config.labeling.wanted
    if wanted.low != report.overlap and not overlap_given:
        setting = "votes" if session.workspace.config.labeling.votes else "overlap"
        session.say(
            f"[dim]This project goes on with {many(report.overlap, 'person', 'people')} per sample, as it was told to; "
            f"labeling.{setting} ({wanted}) is for new projects.[/]"
        )
    if report.dry_run:
        session.next_step("the same without --dry-run")
        return
    seen = many(report.overlap, "person sees", "people see")
    session.say(f"[green]✓[/] {seen} each sample · {report.seconds:.1f} s · {escape(report.url)}")
    session.next_step("emolab label pull, once people have answered")


def _left_out(session: Session, report: PushReport) -> None:
    """What was not worth asking about, and the settings that send it all the same."""
    if not report.left_out:
        return
    shown = [_reason(reason, count) for reason, count in report.left_out.items()]
    session.say(f"[dim]Left out: {'; '.join(shown)}[/]")


def _reason(reason: str, count: int) -> str:
    """How many samples were left out for ``reason``, and what sends them all the same.

    >>> _reason("too blurred", 3), _reason("near copy of another sample", 1)
    ('3 too blurred (--set labeling.max_blur=1 sends them)', '1 near copy of another sample')
    """
    from emolab.loop.label.push import setting_against

    setting = setting_against(reason)
    if setting is None and reason.startswith("near copy"):
        return many(count, reason, "near copies of other samples")
    return f"{count:,} {reason}" + (f" (--set labeling.{setting} sends them)" if setting else "")


def _tidied(report: PushReport) -> list[tuple[str, int]]:
    """What was settled because a request had been carried out twice."""
    rows = [
        ("second tasks of one sample, empty, removed", report.twins_removed),
        ("second tasks with answers, out of the queue", report.twins_closed),
        ("empty projects of the same name, removed", report.projects_removed),
    ]
    return [(what, count) for what, count in rows if count]


def _labels(session: Session, report: PushReport) -> None:
    if report.labels_kept:
        names = escape(", ".join(report.labels_kept))
        session.say(f"[yellow]![/] no class any more, but used in answers, so kept on the form: {names}")
    if report.questions_kept:
        session.say(f"[dim]Questions of the team's own stay on the form: {escape(', '.join(report.questions_kept))}[/]")
    for name in report.optional_kept:
        session.say(f"[yellow]![/] {name} is switched off, but was answered, so Label Studio keeps it on the form")
    if report.labels_added and not report.new_project:
        session.say(f"[cyan]+[/] added to the form: {escape(', '.join(report.labels_added))}")
    if report.labels_removed:
        session.say(f"[cyan]-[/] taken off the form (never used): {escape(', '.join(report.labels_removed))}")
