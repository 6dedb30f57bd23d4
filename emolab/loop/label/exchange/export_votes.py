"""Every vote as one row, or every label as one file, for other programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from emolab.results import Result

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from emolab.catalog.privacy.consents import Allowed
    from emolab.records import Sample
    from emolab.workspace import Workspace


@dataclass(frozen=True, slots=True)
class ExportedVotes(Result):
    """How many ``votes`` (labels, for a folder) were written to ``file``; ``None``: to a stream that was open.

    ``losses`` says in sentences what its format could not hold, and how many samples were left out for want of
    consent.
    """

    file: Path | None
    votes: int
    format: str
    losses: list[str]


def export_votes(
    workspace: Workspace,
    file: str | Path | TextIO,
    *,
    format: str | None = None,
    as_json: bool = False,
    rejected: bool = False,
    nicknames: bool = False,
    agree: Callable[[list[str]], None] | None = None,
) -> ExportedVotes:
    """Write the votes to a ``file``, or to an open stream as CSV or, with ``as_json``, as JSON.

    ``format`` is csv, json, jsonl, parquet, coco, studio (tasks of Label Studio) or folder (one file a label) [the end
    of the file's name]. ``rejected`` adds votes that do not count, with the reason; ``nicknames`` names people as they
    are called here and not by pseudonym. ``agree`` is called with what the format cannot hold before anything is
    written, and refuses by raising. A file is written whole or not at all. Raises :class:`DataError` where it cannot
    be, and :class:`ConfigError` for a name that says no format.
    """
    from emolab.catalog import nicknames as names
    from emolab.catalog import votes
    from emolab.catalog.privacy import consents
    from emolab.labeling.exchange import vote_columns, vote_formats

    target = Path(file) if isinstance(file, str | Path) else file
    plain = "json" if as_json else "csv"
    form = vote_formats.format_of(target, format) if isinstance(target, Path) else plain
    with workspace.catalog() as catalog, catalog.connect() as conn:
        refused, skips = votes.count_refused(conn)
        losses = vote_formats.losses(
            form, refused=refused, rejected=rejected, skips=skips, nicknames=nicknames, votes=votes.count_active(conn)
        )
        may = consents.allowed(conn, "export", required=workspace.config.privacy.consent_required)
        losses += [told] if (told := may.told()) else []
        if agree is not None:
            agree(losses)
        if form == "folder" and isinstance(target, Path):
            return ExportedVotes(target, _write_folder(workspace, conn, target, may), form, losses)
        called = names.by_pseudonym(conn) if nicknames else None
        rows = vote_columns.rows(conn, rejected=rejected, nicknames=called)
        table = (row for row in rows if row["sample"] not in may.barred)
        by_id, classes = _by_id(conn, may), workspace.config.project.classes
        if isinstance(target, Path):
            return ExportedVotes(target, write_whole(form, target, table, by_id, classes), form, losses)
        return ExportedVotes(None, _write_text(form, target, table, by_id, classes), form, losses)


def write_whole(
    form: str,
    file: Path,
    table: Iterable[Mapping[str, Any]],
    by_id: Callable[[], Mapping[str, Sample]],
    classes: Sequence[str],
) -> int:
    """Write the rows through a file beside ``file`` and return how many votes are in it; ``by_id`` gives the samples.

    Raises :class:`DataError` where it cannot be written, or for what the format cannot hold.
    """
    from emolab.files import written_whole
    from emolab.labeling.exchange import parquet_votes

    with written_whole(file) as part:
        if form == "parquet":
            return parquet_votes.write_parquet(part, table)
        with part.open("w", encoding="utf-8", newline="") as stream:
            return _write_text(form, stream, table, by_id, classes)


def _write_text(
    form: str,
    stream: TextIO,
    table: Iterable[Mapping[str, Any]],
    by_id: Callable[[], Mapping[str, Sample]],
    classes: Sequence[str],
) -> int:
    """Write the rows as text of this format and return how many votes are in it."""
    import json

    from emolab.labeling.exchange import coco_votes, flat_votes, studio_votes

    flat = {"csv": flat_votes.write_csv, "json": flat_votes.write_json, "jsonl": flat_votes.write_jsonl}
    if form in flat:
        return flat[form](stream, table)
    if form == "coco":
        document = coco_votes.coco_document(table, by_id(), classes)
        json.dump(document, stream, ensure_ascii=False)
        return len(document["annotations"])
    tasks = studio_votes.studio_tasks(table, by_id())
    json.dump(tasks, stream, ensure_ascii=False)
    return sum(len(task["annotations"]) for task in tasks)


def _by_id(conn: Connection, may: Allowed) -> Callable[[], Mapping[str, Sample]]:
    """What reads the samples that may be exported, by id."""
    from emolab.catalog import samples

    return lambda: {sample.id: sample for sample in samples.iterate(conn) if sample.id not in may.barred}


def _write_folder(workspace: Workspace, conn: Connection, folder: Path, may: Allowed) -> int:
    """Copy the file of each sample that has a label into the folder of its class."""
    from emolab.catalog import labels, samples
    from emolab.errors import DataError
    from emolab.labeling.exchange.folder_labels import write_folder

    current = labels.current(conn)
    if current is None or not current.samples:
        raise DataError("There are no labels to write.", hint='Make them of the votes: "emolab label aggregate"')
    media = {sample.id: workspace.locate(sample.media) for sample in samples.iterate(conn)}
    classes = [current.classes[int(number)] for number in current.hard]
    labelled = zip(classes, current.samples, strict=True)
    return write_folder(folder, ((name, i, media[i]) for name, i in labelled if i not in may.barred))
