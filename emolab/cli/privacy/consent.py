"""``emolab consent``: the register of what people agreed to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from emolab.cli.common import Session, escape, workspace_command
from emolab.cli.ui.groups import OrderedGroup
from emolab.words import many, short

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from emolab.loop.operate.privacy.consent import Register

F = TypeVar("F", bound="Callable[..., object]")


@click.group(cls=OrderedGroup, short_help="Write down who agreed to what, and until when.")
def consent() -> None:
    """The consent register: add, list, expire, export.

    What has expired or was withdrawn is not trained on, suggested, sent to the team or shown. Samples that no entry is
    about stay usable, unless privacy.consent_required says otherwise.
    """


def _about(function: F) -> F:
    """Give a command the options that say whom an entry is about."""
    sample = click.option("--sample", "ids", multiple=True, metavar="ID", help="A sample, by its id or its start.")
    subject = click.option("--subject", "subjects", multiple=True, metavar="NAME", help="A group of samples: a person.")
    return subject(sample(function))


@consent.command("add", short_help="Write down that somebody agreed.")
@_about
@click.option("--text", help="What was agreed to.")
@click.option("--file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A text file that says it.")
@click.option("--hash-only", is_flag=True, help="Keep the hash of the text and not the text.")
@click.option("--scope", multiple=True, metavar="PURPOSE", help="train, label, show or export; repeatable [all].")
@click.option("--given", metavar="DATE", help="The day it was given, YYYY-MM-DD [today].")
@click.option("--until", metavar="DATE", help="The last day on which it holds [without end].")
@workspace_command
def add(
    session: Session,
    subjects: Sequence[str],
    ids: Sequence[str],
    text: str | None,
    file: Path | None,
    *,
    hash_only: bool,
    scope: Sequence[str],
    given: str | None,
    until: str | None,
) -> None:
    """Write down what a subject agreed to, or the person in one sample; it replaces the earlier entry."""
    from emolab.loop.operate.privacy.consent import add_consent

    if (text is None) == (file is None):
        raise click.UsageError("Give the text of the consent: --text TEXT or --file PATH.")
    said = text if file is None else _text_of(file)
    done = add_consent(
        session.workspace, subjects=subjects, ids=ids, text=said or "", scope=scope, given=given, until=until,
        keep_text=not hash_only,
    )  # fmt: skip
    session.emit(done)
    for each in done.entries:
        if each.subject in subjects:
            session.say(f"[green]✓[/] {escape(str(each.subject))}: {many(each.samples, 'sample')} covered")
    session.notes(done.notes)
    session.next_step("emolab consent list")


@consent.command("list", short_help="Who agreed to what, and what is left out.")
@click.option("--all", "everything", is_flag=True, help="Earlier entries as well.")
@workspace_command
def list_entries(session: Session, *, everything: bool) -> None:
    """List the register and how many samples are left out today, and why."""
    from emolab.loop.operate.privacy.consent import consents

    found = consents(session.workspace, everything=everything)
    session.emit(found)
    _show(session, found)


@consent.command("expire", short_help="End a consent, now or on a day.")
@_about
@click.option("--until", metavar="DATE", help="The last day on which it holds [withdrawn now].")
@workspace_command
def expire(session: Session, subjects: Sequence[str], ids: Sequence[str], until: str | None) -> None:
    """End the consent of a subject or sample: withdrawn at once, or with a last day.

    Nothing is erased: the samples are only left out from now on.
    """
    from emolab.loop.operate.privacy.consent import end_consent

    done = end_consent(session.workspace, subjects=subjects, ids=ids, until=until)
    session.emit(done)
    _show(session, done)


@consent.command("export", short_help="Write the register as CSV or JSON.")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@workspace_command
def export(session: Session, file: Path) -> None:
    """Write every entry, earlier ones too, to FILE (.csv or .json)."""
    from emolab.loop.operate.privacy.consent import export_consents

    done = export_consents(session.workspace, file)
    session.emit(done)
    session.wrote(f"{done.entries:,} entries", done.file)


def _show(session: Session, found: Register) -> None:
    rows = [
        (
            escape(each.subject or f"sample {short(each.sample or '')}"),
            each.state(found.today),
            ", ".join(each.scope),
            each.given_at,
            each.expires_at or "",
            f"{each.samples:,}",
        )
        for each in found.entries
    ]
    if rows:
        session.table(["about", "state", "covers", "given", "last day", ("samples", "right")], rows)
    else:
        session.say("The consent register is empty.")
    for purpose, reasons in found.left_out.items():
        if reasons:
            told = ", ".join(f"{n:,} {reason}" for reason, n in reasons.items())
            session.say(f"[yellow]left out of {purpose}:[/] {told}")


def _text_of(file: Path) -> str:
    """The text in ``file``. Raises :class:`DataError` where it cannot be read."""
    from emolab.errors import DataError

    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise DataError(f"{file} is no text in UTF-8.", hint="Save it as UTF-8, or give the text: --text") from None
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}.", hint="Check its rights.") from error
