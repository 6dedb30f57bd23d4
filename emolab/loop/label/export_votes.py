"""Every vote as one row, for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from emolab.workspace import Workspace


def export_votes(
    workspace: Workspace,
    to: Path | TextIO,
    *,
    as_json: bool = False,
    rejected: bool = False,
    with_nicknames: bool = False,
) -> int:
    """Write the votes ``to`` a file (.csv or .json) or to an open stream (CSV, or JSON), and return their number.

    ``rejected`` adds votes that do not count, with the reason; ``with_nicknames`` names people as they are called here
    and not by pseudonym. A file is written whole or not at all. Raises :class:`DataError` where it cannot be.
    """
    from emolab.catalog import nicknames
    from emolab.errors import DataError
    from emolab.labeling.labels import vote_export

    if isinstance(to, Path):
        check_file(to)
        as_json = to.suffix.lower() == ".json"
    write = vote_export.write_json if as_json else vote_export.write_csv
    with workspace.catalog() as catalog, catalog.connect() as conn:
        called = nicknames.by_pseudonym(conn) if with_nicknames else None
        table = vote_export.rows(conn, rejected=rejected, nicknames=called)
        if not isinstance(to, Path):
            return write(to, table)
        part = to.with_name(to.name + ".part")
        try:
            with part.open("w", encoding="utf-8", newline="") as stream:
                n = write(stream, table)
            part.replace(to)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise DataError(f"{to} cannot be written: {error.strerror}.") from error
    return n


def check_file(file: Path) -> None:
    """Raise :class:`DataError` for a name that is of neither format."""
    from emolab.errors import DataError

    if file.suffix.lower() not in (".csv", ".json"):
        raise DataError(f"{file} is no .csv and no .json file.", hint="For example: emolab label export votes.csv")
