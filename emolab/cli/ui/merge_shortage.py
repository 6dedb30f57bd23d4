"""What a merged dataset leaves to train on, said where that is nothing or little."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emolab.loop.model.shortage import FEWEST, in_words

if TYPE_CHECKING:
    from emolab.cli.common import Session
    from emolab.datasets.merge.report import MergeReport


def after_merge(session: Session, report: MergeReport) -> bool:
    """Say what the dataset leaves to train on where that is nothing or little; whether it is nothing.

    Where the workspace has other training samples this is no shortage and nothing is said.
    """
    from emolab.cli.common import escape

    if report.train_elsewhere or not report.left:
        return False
    name = escape(report.name)
    held = sum(row["held_out"] for row in report.left.values())
    if not held and not any(row["train"] for row in report.left.values()):
        return False
    if any(row["train"] for row in report.left.values()):
        short = [in_words(c, row["train"], row["held_out"]) for c, row in report.left.items() if row["train"] < FEWEST]
        if short:
            session.say(f"[yellow]![/] Little or nothing of {name} to train on for {', '.join(short)}.")
        return False
    classes = ", ".join(f"{c} {row['held_out']:,}" for c, row in report.left.items() if row["held_out"])
    session.say(
        f"[yellow]![/] Nothing of {name} is left to train on: all {held:,} {report.noun}s are held out ({classes})."
    )
    where = "" if report.dry_run else " in a new workspace: samples keep the split they came in with"
    session.say(f"  [dim]Merge its training set too, or use[/] --split train[dim]{where}.[/]")
    return True
