"""Votes come in from a file of another program, or of another workspace."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from emolab.results import Result

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from emolab.labeling.exchange.vote_columns import FileVote
    from emolab.workspace import Workspace


@dataclass(frozen=True, slots=True)
class ImportedVotes(Result):
    """What became of the ``votes`` of ``file``: ``new`` in the ledger, ``known`` already, ``withdrawn`` here before.

    ``changed`` of the new ones supersede what they contradict; ``renamed`` counts labels by "as written -> class".
    ``forgotten`` were left out: of samples or annotators that were forgotten here. With ``dry_run`` nothing was added.
    """

    file: Path
    format: str
    votes: int
    new: int
    known: int
    withdrawn: int
    changed: int
    renamed: dict[str, int]
    forgotten: int
    dry_run: bool


def import_votes(
    workspace: Workspace,
    file: str | Path,
    *,
    format: str | None = None,
    annotator: str | None = None,
    replace: bool = False,
    dry_run: bool = False,
) -> ImportedVotes:
    """Add the votes of ``file`` to the ledger; the same file again adds nothing.

    ``format`` is as in :func:`export_votes` [what the file holds]. ``annotator`` is who gave the answers that name
    nobody; a folder of labels is a dataset of that name [import]. ``replace`` lets votes of the file supersede those
    that they contradict. Raises :class:`DataError`, with counts and before anything is added, for labels and samples
    that this workspace does not have, and for votes that contradict the ledger.
    """
    from emolab.catalog import settings
    from emolab.labeling.answers.pseudonyms import pseudonym
    from emolab.labeling.exchange import vote_columns, vote_formats, vote_intake

    path = Path(file).expanduser()
    with workspace.catalog() as catalog, catalog.begin() as tx:
        form, rows = vote_formats.read_rows(
            path, format, person=lambda address: pseudonym(settings.secret(tx), address), annotator=annotator
        )
        kind = "dataset" if form == "folder" else "person"
        who = (annotator or "import") if form == "folder" else annotator
        read = [vote_columns.file_vote(row, place, who, kind) for place, row in rows]
        found = _without_forgotten(workspace, tx, read)
        config = workspace.config
        intake = vote_intake.compare(
            tx, found, config.project.classes, superseding=replace, several=config.labeling.several
        )
        new = sum(map(len, intake.new.values()))
        if not dry_run:
            vote_intake.take_in(tx, intake, path.name)
    return ImportedVotes(
        file=path,
        format=form,
        votes=len(read),
        new=new,
        known=intake.known,
        withdrawn=intake.withdrawn,
        changed=intake.changed,
        renamed=dict(intake.renamed),
        forgotten=len(read) - len(found),
        dry_run=dry_run,
    )


def _without_forgotten(workspace: Workspace, conn: Connection, read: list[FileVote]) -> list[FileVote]:
    """``read`` without votes of samples and annotators that were forgotten here, but for ``privacy.take_back``."""
    from emolab.catalog import samples
    from emolab.catalog.privacy.tombstones import Tombstones

    tombstones = Tombstones(workspace)
    if not tombstones or workspace.config.privacy.take_back:
        return read
    gone = tombstones.among({one.vote.sample_id for one in read})
    absent = set(gone) - samples.keys(conn, gone).keys()  # one that was taken back is here
    people = {one.vote.annotator for one in read}
    left = {name for name in people if tombstones.known(f"annotator {name}")}
    return [one for one in read if one.vote.sample_id not in absent and one.vote.annotator not in left]
