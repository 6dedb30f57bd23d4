"""``emolab merge``: bring in an open dataset with its labels or votes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from emolab.cli.common import Session, bar, escape, leak_option, other_files, workspace_command
from emolab.cli.split import offer_repair
from emolab.cli.ui.learned_warning import warn_of
from emolab.cli.ui.merge_shortage import after_merge
from emolab.words import many

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from emolab.datasets.merge.report import MergeReport

#: Lines shown per list; --json has all.
SHOWN = 10


@click.command(short_help="Bring in an open dataset with its labels or votes.")
@click.argument("reader")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--split", type=click.Choice(["auto", "train", "valid", "test"]), default="auto", show_default=True,
              help="auto keeps the dataset's own splits and assigns the rest by group.")  # fmt: skip
@click.option("--map", "map_file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="TOML or JSON: source label to class, meta label, \"drop\" or shares of classes.")  # fmt: skip
@click.option("-o", "--option", "options", multiple=True, metavar="KEY=VALUE", help="A reader's option; repeatable.")
@click.option("--name", metavar="NAME", help="The dataset's name in the workspace; default: the reader or folder.")
@click.option("--near-duplicates/--no-near-duplicates", "near", default=True, show_default=True,
              help="Group near-identical images of the whole workspace afterwards.")  # fmt: skip
@click.option("--repair/--no-repair", "repair", default=None,
              help="Bring near copies across splits together; by default it asks at a terminal.")  # fmt: skip
@leak_option
@click.option("--dry-run", is_flag=True, help="Read and report everything, write nothing.")
@workspace_command
def merge(
    session: Session,
    *,
    reader: str,
    path: Path,
    split: str,
    map_file: Path | None,
    options: Sequence[str],
    name: str | None,
    near: bool,
    repair: bool | None,
    allow_speaker_leak: bool,
    dry_run: bool,
) -> int:
    """Bring the dataset at PATH (a folder, a zip or a table) in, as samples and as votes of the dataset.

    READER is image_folder, csv, ferplus, fer2013, ravdess, tess, savee, cremad, goemotions, or one that a plug-in adds.
    Labels are mapped by name; votes stay counts. Running it again adds nothing, and goes on where a stopped run ended.
    Exit code 1 when samples were unreadable.
    """
    from emolab.loop.data.merge import merge as run

    done = run(
        session.workspace,
        reader,
        path,
        split=split,
        rules=map_file,
        options=reader_options(options),
        name=name,
        dry_run=dry_run,
        near=near,
        allow_speaker_leak=allow_speaker_leak,
        progress=session.progress,
    )
    report = done.report
    _show(session, report, done.learned)
    if done.across:
        done = replace(done, repaired=offer_repair(session, repair))
    session.emit(done)
    _next(session, report)
    return 1 if report.unreadable else 0


def reader_options(pairs: Sequence[str]) -> dict[str, str]:
    """``KEY=VALUE`` texts as a mapping. Raises :class:`click.UsageError` for any other text."""
    options = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise click.UsageError(f'--option "{pair}" is not KEY=VALUE.')
        options[key.strip()] = value
    return options


def _show(session: Session, report: MergeReport, known: Mapping[str, Any] | None) -> None:
    _headline(session, report)
    _labels(session, report)
    _copies(session, report)
    warn_of(session, known, noun=report.noun)
    _remarks(session, report)


def _next(session: Session, report: MergeReport) -> None:
    nothing = after_merge(session, report)
    if report.dry_run:
        session.next_step("the same without --dry-run")
    elif nothing:
        session.next_step(f"emolab merge {report.reader} PATH, with the training set")
    else:
        session.next_step("emolab label aggregate")


def _headline(session: Session, report: MergeReport) -> None:
    sign = "[yellow]dry run, nothing written:[/]" if report.dry_run else "[green]✓[/]"
    rate = f"{report.read / report.seconds:,.0f} {report.noun}s/s" if report.seconds else ""
    session.say(
        f"\n{sign} [bold]{escape(report.name)}[/] from {escape(report.path)}  [dim]{report.seconds:,.1f} s, {rate}[/]\n"
    )
    rows = [
        ("read", report.read, f"{report.noun}s in the dataset"),
        ("added", report.added, "new samples"),
        ("already known", report.known, "in the workspace before; their votes count all the same"),
        ("duplicates", report.duplicates, f"further copies of the same {report.noun}: one sample, all their votes"),
        ("unreadable", report.unreadable, "left out, listed below"),
    ]
    cells = [
        (what, f"[{_colour(what, n)}]{n:,}[/]" if n else "[dim]0[/]", f"[dim]{meaning}[/]") for what, n, meaning in rows
    ]
    if report.ignored:
        cells.append(other_files(report.ignored))
    session.table([f"{report.noun}s", ("", "right"), ""], cells)


def _colour(what: str, n: int) -> str:
    return {"added": "green", "unreadable": "red"}.get(what, "default") if n else "dim"


def _labels(session: Session, report: MergeReport) -> None:
    from emolab.taxonomy import META

    people = sum(row.votes for row in report.labels) or 1
    most = max((row.votes for row in report.labels), default=1)
    rows = []
    for row in report.labels:
        becomes = (
            "[red]dropped[/]" if row.label is None else f"[magenta]{row.label}[/]" if row.label in META else row.label
        )
        kind = " [dim](meta)[/]" if row.label in META else ""
        share = f"{row.votes / people:>6.1%}"
        rows.append(
            (
                escape(row.source),
                becomes + kind,
                f"{row.votes:,}",
                f"{bar(row.votes / most, 20)} {share}",
                f"{row.images:,}",
            )
        )
    columns: list[str | tuple[str, str]] = [
        "source label",
        "becomes",
        ("votes", "right"),
        "share",
        ("leads in", "right"),
    ]
    session.table(columns, rows, title="Labels")
    missing = [name for name in session.workspace.config.project.classes if name not in report.supported]
    if missing:
        session.say(
            f"[dim]{escape(report.name)} never shows {', '.join(missing)}: not counted as negatives in training.[/]\n"
        )


def _copies(session: Session, report: MergeReport) -> None:
    conflicts, leaks = report.copies["conflicts"], report.copies["leaks"]
    rows: list[tuple[str, str, str]] = []
    if report.copies["images"]:
        most = report.copies["largest"]
        rows.append(
            (f"{report.noun}s with copies", f"{report.copies['images']:,}", f"up to {most} copies of one {report.noun}")
        )
    if conflicts["images"]:
        pairs = ", ".join(f"{escape(' / '.join(pair['labels']))} {pair['images']}" for pair in conflicts["pairs"][:3])
        rows.append(("conflicting votes", f"{conflicts['images']:,}", "copies voted on differently; all votes kept"))
        rows.append(("another majority", f"{conflicts['majority']:,}", pairs))
    for leak in leaks:
        rows.append((f"leak {leak['splits']}", f"[yellow]{leak['images']:,}[/]", f"kept in {leak['kept_in']} only"))
    if report.others.get("images"):
        same, all_of_them = report.others["agree"], report.others["images"]
        text = f"{same / all_of_them:.0%} have the same winner as the votes of others"
        rows.append(("others voted too", f"{all_of_them:,}", text))
    if report.near is not None and report.near.groups:
        near = report.near
        text = f"{many(near.groups, 'group')} in the workspace, largest {near.largest}"
        rows.append(("near-duplicates", f"{near.surplus:,}", text))
        if near.split:
            text = "groups with members in several splits: emolab split repair"
            rows.append(("… across splits", f"[yellow]{near.split:,}[/]", text))
    if rows:
        session.table(["copies and conflicts", (f"{report.noun}s", "right"), ""], rows)
    if report.splits:
        made = f"; {_numbers(report.assigned)} assigned now" if report.assigned else ""
        session.say(f"splits of the workspace: {_numbers(report.splits)}{made}")


def _numbers(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {n:,}" for name, n in sorted(counts.items(), key=lambda item: -item[1]))


def _remarks(session: Session, report: MergeReport) -> None:
    for note, count in list(report.notes.items())[:SHOWN]:
        session.say(f"[dim]{escape(note)}: {many(count, 'image')}[/]")
    if len(report.notes) > SHOWN:
        session.say(f"[dim]and {many(len(report.notes) - SHOWN, 'more remark')}: see --json[/]")
    if report.unused_rules:
        session.say(f"[yellow]rules of the map that match nothing:[/] {escape(', '.join(report.unused_rules))}")
    if report.withdrawn:
        session.say(f"{many(report.withdrawn, 'vote')} of an earlier merge withdrawn: the label map changed.")
    for kind, count in report.noted.items():
        example = next((f", such as {problem.path}: {problem.message}" for problem in report.problems
                        if problem.taken and problem.kind == kind), "")  # fmt: skip
        session.say(f"[yellow]{escape(kind)}:[/] {many(count, 'image')}{escape(example)}")
    failed = [problem for problem in report.problems if not problem.taken]
    for problem in failed[:SHOWN]:
        session.say(f"[red]✗[/] {escape(str(problem))}")
    if report.unreadable > SHOWN:
        session.say(f"[red]and {report.unreadable - SHOWN:,} more:[/] see --json")
    if report.licence:
        session.say(f"[dim]licence: {escape(report.licence)}[/]")
