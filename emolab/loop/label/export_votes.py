"""Every vote as one row, for other programs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from emolab.results import Result

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from emolab.workspace import Workspace


@dataclass(frozen=True, slots=True)
class ExportedVotes(Result):
    """How many ``votes`` were written to ``file``; ``None``: to a stream that was open."""

    file: Path | None
    votes: int


def export_votes(
    workspace: Workspace,
    file: str | Path | TextIO,
    *,
    as_json: bool = False,
    rejected: bool = False,
    nicknames: bool = False,
) -> ExportedVotes:
    """Write the votes to a ``file`` (.csv or .json), or to an open stream as CSV or, with ``as_json``, as JSON.

    ``rejected`` adds votes that do not count, with the reason; ``nicknames`` names people as they are called here and
    not by pseudonym. A file is written whole or not at all. Raises :class:`DataError` where it cannot be.
    """
    from emolab.catalog import nicknames as names
    from emolab.labeling.labels import vote_export

    with workspace.catalog() as catalog, catalog.connect() as conn:
        called = names.by_pseudonym(conn) if nicknames else None
        table = vote_export.rows(conn, rejected=rejected, nicknames=called)
        if isinstance(file, str | Path):
            return ExportedVotes(Path(file), _write_whole(Path(file), table))
        return ExportedVotes(None, (vote_export.write_json if as_json else vote_export.write_csv)(file, table))


def _write_whole(file: Path, table: Iterable[Mapping[str, Any]]) -> int:
    from emolab.errors import DataError
    from emolab.labeling.labels import vote_export

    check_file(file)
    write = vote_export.write_json if file.suffix.lower() == ".json" else vote_export.write_csv
    part = file.with_name(file.name + ".part")
    try:
        with part.open("w", encoding="utf-8", newline="") as stream:
            n = write(stream, table)
        part.replace(file)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise DataError(f"{file} cannot be written: {error.strerror}.") from error
    return n


def check_file(file: Path) -> None:
    """Raise :class:`DataError` for a name that is of neither format."""
    from emolab.errors import DataError

    if file.suffix.lower() not in (".csv", ".json"):
        raise DataError(f"{file} is no .csv and no .json file.", hint="For example: emolab label export votes.csv")
