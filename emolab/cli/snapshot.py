"""``emolab snapshot``: states of the data, kept, compared and brought back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from emolab.cli.common import Session, consent, escape, workspace_command
from emolab.cli.ui.groups import OrderedGroup
from emolab.words import many, short

if TYPE_CHECKING:
    from emolab.loop.data.data_snapshots import KeptSnapshot, RestoredSnapshot


@click.group(cls=OrderedGroup, short_help="States of the data: keep, compare, bring back.")
def snapshot() -> None:
    """Keep states of the data (samples, votes, labels, splits), compare them, and bring one back.

    A whole workspace with its files is kept by "emolab backup".
    """


@snapshot.command("create", short_help="Keep the data as they are now.")
@click.option("--name", metavar="NAME", help="A name to find it by.")
@workspace_command
def create(session: Session, *, name: str | None) -> None:
    """Keep samples, votes, labels, splits, sources and settings of this moment, under the hash of their content."""
    from emolab.loop.data.data_snapshots import COUNTED, snapshot_create

    done = snapshot_create(session.workspace, name=name)
    session.emit(done)
    counts = ", ".join(many(done.rows[part], part[:-1]) for part in COUNTED)
    session.say(f"[green]✓[/] {'' if done.new else 'kept before: '}snapshot {short(done.id)}: {counts}")


@snapshot.command("list", short_help="All snapshots, oldest first.")
@workspace_command
def list_(session: Session) -> None:
    """List all snapshots of the data."""
    from emolab.loop.data.data_snapshots import COUNTED, snapshot_list

    found = snapshot_list(session.workspace).snapshots
    session.emit(found)
    if not found:
        session.say("There are no snapshots yet.")
        session.next_step("emolab snapshot create")
        return
    session.table(
        ["snapshot", ("name", "whole"), "made", *((part, "right") for part in COUNTED)],
        [
            (short(one.id), escape(_called(one)), one.created_at, *(f"{one.rows[part]:,}" for part in COUNTED))
            for one in found
        ],
    )


def _called(one: KeptSnapshot) -> str:
    """Its name, and whether it can still be brought back."""
    return " ".join([*([one.name] if one.name else []), *(["(contains forgotten)"] if one.forgotten else [])])


@snapshot.command("show", short_help="What a snapshot holds.")
@click.argument("snapshot", default="latest")
@workspace_command
def show(session: Session, snapshot: str) -> None:
    """Show what SNAPSHOT holds: a name, the start of an id, or latest."""
    from emolab.loop.data.data_snapshots import snapshot_show

    found = snapshot_show(session.workspace, snapshot)
    session.emit(found)
    session.say(f"[bold]{short(found.id)}[/] {escape(found.name or '')} made {found.created_at}")
    for title, counts in (("splits", found.splits), ("sources", found.sources), ("labels", found.classes)):
        rows = [(escape(name), f"{n:,}") for name, n in sorted(counts.items(), key=lambda pair: -pair[1])]
        session.table([title, ("samples", "right")], rows)


@snapshot.command("diff", short_help="What changed between two snapshots, or two models' data.")
@click.argument("old")
@click.argument("new", default="now")
@workspace_command
def diff(session: Session, old: str, new: str) -> None:
    """Say in words what changed from OLD to NEW: snapshots, now, or two models (what they learned from)."""
    from emolab.loop.data.data_snapshots import snapshot_diff

    found = snapshot_diff(session.workspace, old, new)
    session.emit(found)
    for sentence in found.sentences:
        session.say(escape(sentence))
    if not found.sentences:
        session.say("Nothing changed.")


@snapshot.command("restore", short_help="Bring a state of the data back.")
@click.argument("snapshot")
@click.option("--dry-run", is_flag=True, help="Say what would change, change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@workspace_command
def restore(session: Session, snapshot: str, *, dry_run: bool, yes: bool) -> None:
    """Bring the data back as they were in SNAPSHOT, all or nothing.

    No vote is rewritten: votes that were not there then are withdrawn, and stay in the ledger. Consent, the holdout,
    settings, and what lies in a Label Studio project stay as they are.
    """
    from emolab.loop.data.data_snapshots import snapshot_restore

    def agree(found: RestoredSnapshot) -> None:
        if not (yes or dry_run):
            consent(
                session,
                _changes(found, would=True),
                "Bring it back?",
                nothing="nothing was changed",
                ahead="Keep the present state first: emolab snapshot create",
                remedy="Look with --dry-run; bring it back with --yes.",
            )

    done = snapshot_restore(session.workspace, snapshot, agree=agree, dry_run=dry_run)
    session.emit(done)
    session.notes(done.notes)
    session.say(f"{'' if dry_run else '[green]✓[/] '}{_changes(done, would=dry_run)}")


def _changes(found: RestoredSnapshot, *, would: bool) -> str:
    """What changes, or did, in one line."""
    numbers = {
        "come back": found.samples_back, "go": found.samples_removed, "get other fields": found.samples_changed,
        "move to another split": found.splits_moved,
    }  # fmt: skip
    parts = [f"{many(n, 'sample')} {verb}" for verb, n in numbers.items() if n]
    parts += [f"{many(found.votes_added, 'vote')} come back"] if found.votes_added else []
    parts += [f"{many(found.votes_withdrawn, 'vote')} are withdrawn"] if found.votes_withdrawn else []
    parts += ["labels change"] if found.labels_changed else []
    if not parts:
        return f"The data are as in snapshot {short(found.snapshot)} already"
    return f"{'To bring back' if would else 'Brought back'} snapshot {short(found.snapshot)}: {', '.join(parts)}"
