"""The consent register: entries are added, ended, listed and written to a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emolab.loop.given import several
from emolab.results import Result, Table
from emolab.words import short

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from emolab.catalog.privacy.consents import Consent
    from emolab.workspace import Workspace

#: The columns of a register in a file.
COLUMNS = (
    *("subject", "sample", "state", "scope", "given_at", "expires_at", "withdrawn_at", "samples", "text_hash", "text"),
)


@dataclass(frozen=True, kw_only=True)
class Register(Result):
    """Entries of the register on the day ``today``, and for each purpose how many samples are left out, by reason.

    ``notes`` tell of subjects that were named and that no sample has as its group.
    """

    entries: Sequence[Consent]
    today: str
    left_out: Mapping[str, Mapping[str, int]]
    notes: Sequence[str] = ()

    def to_dict(self) -> dict[str, Any]:
        """The entries with their state, ready for JSON."""
        return {
            "today": self.today,
            "entries": [{**asdict(each), "state": each.state(self.today)} for each in self.entries],
            "left_out": {purpose: dict(found) for purpose, found in self.left_out.items()},
            "notes": list(self.notes),
        }

    def tables(self) -> list[Table]:
        """One row an entry."""
        columns = ("about", "state", "covers", "given", "until", "samples")
        rows = [
            (each.subject or short(each.sample or ""), each.state(self.today), ", ".join(each.scope), each.given_at,
             each.expires_at, each.samples)
            for each in self.entries
        ]  # fmt: skip
        return [Table(f"{len(rows):,} entries of the consent register", columns, rows)]


@dataclass(frozen=True, kw_only=True)
class WrittenRegister(Result):
    """So many ``entries`` were written to ``file``."""

    file: Path
    entries: int


def consents(workspace: Workspace, *, everything: bool = False) -> Register:
    """The register as of today; with ``everything`` the entries that later ones have replaced. Nothing is raised."""
    with workspace.catalog() as catalog, catalog.connect() as conn:
        return _register(workspace, conn, superseded=everything)


def add_consent(
    workspace: Workspace,
    *,
    subjects: str | Sequence[str] = (),
    ids: str | Sequence[str] = (),
    text: str,
    scope: str | Sequence[str] = (),
    given: str | None = None,
    until: str | None = None,
    keep_text: bool = True,
) -> Register:
    """Write down that ``subjects`` (groups of samples) or the samples ``ids`` agreed to ``text``.

    ``scope`` names what it covers, of train, label, show and export [all]; ``given`` is its date [today] and ``until``
    its last day, ``YYYY-MM-DD``, both of UTC. Without ``keep_text`` only the text's hash is kept. The new entry holds
    instead of earlier ones. Raises :class:`DataError` for a date, purpose or sample that there is not.
    """
    from emolab.catalog.privacy import consents as register
    from emolab.catalog.privacy import subjects as known
    from emolab.errors import DataError, UnknownName

    purposes = several(scope) or register.PURPOSES
    for name in purposes:
        if name not in register.PURPOSES:
            raise UnknownName("purpose", name, register.PURPOSES)
    given, until = _day(given), _day(until)
    if given and until and until < given:
        raise DataError(f"A consent given on {given} cannot end on {until}.", hint="Give the last day: --until DATE")
    if not text.strip():
        raise DataError("A consent needs its text.", hint='Give it with --text "...", or a file with --file PATH.')
    with workspace.catalog() as catalog, catalog.begin() as tx:
        for about in _about(tx, subjects, ids):
            register.add(tx, **about, text=text, scope=purposes, given_at=given, expires_at=until, keep_text=keep_text)
        told = _register(workspace, tx)
        alone = [each.subject for each in told.entries if each.subject in several(subjects) and not each.samples]
        notes = [f'no sample has the group "{name}" so far.{known.guess(tx, name)}' for name in alone if name]
        return replace(told, notes=notes)


def end_consent(
    workspace: Workspace,
    *,
    subjects: str | Sequence[str] = (),
    ids: str | Sequence[str] = (),
    until: str | None = None,
) -> Register:
    """End the consent of ``subjects`` or of the samples ``ids``: withdrawn now, or with its last day ``until``.

    Whoever never agreed in writing is entered as having said no. Raises :class:`DataError` for a subject that neither
    a sample nor an entry knows, and for a sample that there is not.
    """
    from emolab.catalog.privacy import consents as register
    from emolab.catalog.privacy import subjects as known

    last = _day(until)
    with workspace.catalog() as catalog, catalog.begin() as tx:
        for about in _about(tx, subjects, ids):
            if subject := about.get("subject"):
                known.check(tx, subject)
            register.end(tx, **about, on=last)
        return _register(workspace, tx)


def export_consents(workspace: Workspace, file: str | Path) -> WrittenRegister:
    """Write the whole register, earlier entries too, to a ``file`` (.csv or .json), whole or not at all.

    Raises :class:`DataError` where it cannot be written.
    """
    import csv
    import io
    import json

    from emolab.errors import DataError
    from emolab.files import write_text

    target = Path(file)
    kind = target.suffix.lower()
    if kind not in (".csv", ".json"):
        raise DataError(
            f"{target} is no .csv and no .json file.", hint="For example: emolab consent export consents.csv"
        )
    found = consents(workspace, everything=True).to_dict()
    if kind == ".json":
        text = json.dumps(found, indent=1)
    else:
        stream = io.StringIO()
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        writer.writerows({**row, "scope": " ".join(row["scope"])} for row in found["entries"])
        text = stream.getvalue()
    try:
        write_text(target, text)
    except OSError as error:
        raise DataError(f"{target} cannot be written: {error.strerror}.") from error
    return WrittenRegister(file=target, entries=len(found["entries"]))


def _register(workspace: Workspace, conn: Connection, *, superseded: bool = False) -> Register:
    from emolab.catalog.privacy import consents as register
    from emolab.catalog.storage.engine import now

    required = workspace.config.privacy.consent_required
    left_out = {each: register.allowed(conn, each, required=required).left_out() for each in register.PURPOSES}
    return Register(entries=register.entries(conn, superseded=superseded), today=now()[:10], left_out=left_out)


def _about(conn: Connection, subjects: str | Sequence[str], ids: str | Sequence[str]) -> list[dict[str, str]]:
    """What entries are to be about. Raises :class:`DataError` for nothing, and for a sample that there is not."""
    from emolab.catalog import samples
    from emolab.errors import DataError

    found = [{"subject": name} for name in several(subjects)]
    found += [{"sample": samples.get(conn, each).id} for each in several(ids)]
    if not found:
        raise DataError("Whose consent?", hint="Name a subject (--subject NAME) or a sample (--sample ID).")
    return found


def _day(text: str | None) -> str | None:
    """``text`` as ``YYYY-MM-DD``. Raises :class:`DataError` for what is no date."""
    from emolab.errors import DataError

    if text is None:
        return None
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise DataError(f'"{text}" is no date.', hint="Write the year first: 2027-05-31") from None
