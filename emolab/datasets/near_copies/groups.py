"""Groups of near copies in a workspace; copies to the byte are one sample already.

Two samples belong together when one is the other re-encoded, resized, brightened or darkened, mirrored, turned a
little or cropped a little, and so do the copies of copies. Candidates come from short vectors
(:mod:`emolab.datasets.near_copies.candidates`), and a pair counts when its pixels agree once aligned
(:mod:`emolab.datasets.near_copies.confirm`).

Measured by ``python -m benchmarks.duplicates`` on faces of 48 x 48 pixels that all look into the camera, the hard
case; docs/datasets.md has the table. The limit of 0.9 was set on FER+ train by looking at pairs: of the pairs from
0.90 to 0.96 (173) all that were looked at show one picture or one sitting, from 0.88 to 0.90 a tenth are strangers,
and below 0.86 most are.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from emolab.catalog.storage.chunks import chunks
from emolab.datasets.near_copies.finder import CopyFinder, open_finder
from emolab.datasets.near_copies.pictures import PictureCopies
from emolab.datasets.near_copies.thumbnails import LOOKS, Looks
from emolab.progress import SILENT, Progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from sqlalchemy import Connection, RowMapping

    from emolab.catalog import Catalog
    from emolab.workspace import Workspace


@dataclass(frozen=True, slots=True)
class DuplicateReport:
    """``groups`` of near-identical samples, ``surplus`` samples hidden behind the representative of their group.

    ``compared`` samples have something to compare, ``skipped`` not (flat images, files that cannot be read);
    ``largest`` is the largest group; ``changed`` samples got another representative than before; ``split`` groups have
    members in several splits.
    """

    groups: int
    surplus: int
    largest: int
    compared: int
    skipped: int
    changed: int
    split: int


@dataclass(frozen=True, slots=True)
class CopyGroups:
    """What comparing gave: the group ``number`` (n,) of each of the samples ``ids`` (n), and how many were
    ``skipped``."""

    ids: list[str]
    number: NDArray[np.int64]
    skipped: int
    finder: CopyFinder | None = None


def find(workspace: Workspace, catalog: Catalog, *, progress: Progress = SILENT) -> CopyGroups:
    """Compare all samples of ``catalog`` that have not been compared yet with one another and with all others.

    What no look is kept of is decoded. Needs no transaction: comparing 30,000 images takes half a minute.
    """
    finder = open_finder(workspace.config.project.modality)
    if finder is None:
        return CopyGroups([], np.zeros(0, dtype=np.int64), 0)
    with Looks(workspace.cache / LOOKS, finder.shape) as looks:
        with catalog.connect() as connection:
            media = _media(connection, workspace.config.project.modality)
        _complete(workspace, looks, media, finder, progress)
        known = looks.read(list(media))
        usable = np.flatnonzero(~finder.empty(known.looks))
        order = usable[np.argsort(~known.compared[usable], kind="stable")]
        ids = [known.ids[i] for i in order.tolist()]
        number, pairs = finder.find(
            known.looks[order],
            fresh=int(known.compared[order].sum()),
            links=_moved(known.links, order, len(known.ids)),
            progress=progress,
        )
        looks.link(ids, pairs)
    return CopyGroups(ids, number, len(media) - len(ids), finder)


def groups(looks: NDArray[np.uint8], finder: CopyFinder | None = None) -> NDArray[np.int64]:
    """The group of each of ``looks`` (n, rows, columns), of images where no ``finder`` is given: (n,).

    Those with nothing to compare stand alone.
    """
    finder = finder or PictureCopies()
    usable = np.flatnonzero(~finder.empty(looks))
    number = -1 - np.arange(len(looks))
    none = np.empty((0, 2), dtype=np.int64)
    number[usable] = finder.find(looks[usable], fresh=0, links=none, progress=SILENT)[0]
    return number


def mark(tx: Connection, found: CopyGroups) -> DuplicateReport:
    """Set the representative of every group of near copies.

    The representative is the sample people voted on most, then the one that stands for the group already, the better
    one (of images the larger, the sharper), the one with the smaller id. Running it again changes nothing.
    """
    from emolab.catalog import samples

    keys = samples.keys(tx, found.ids)
    members = [[keys[found.ids[i]] for i in rows.tolist() if found.ids[i] in keys] for rows in _members(found.number)]
    members = [rows for rows in members if len(rows) > 1]
    details = _details(tx, [key for rows in members for key in rows])
    wanted: dict[str, str | None] = {}
    split = 0
    for rows in members:
        together = [details[key] for key in rows]
        best = _best(together, found.finder)
        wanted.update({row["id"]: best for row in together})
        split += len({row["split"] for row in together if row["split"]}) > 1
    before = {row["id"]: row["representative"] for row in details.values()} | _standing(tx)
    changes = {name: wanted.get(name) for name, old in before.items() if old != wanted.get(name)}
    samples.set_representatives(tx, changes)
    sizes = [len(rows) for rows in members]
    return DuplicateReport(
        groups=len(sizes),
        surplus=sum(sizes) - len(sizes),
        largest=max(sizes, default=1),
        compared=len(found.ids),
        skipped=found.skipped,
        changed=len(changes),
        split=split,
    )


def _media(conn: Connection, modality: str) -> dict[str, str]:
    """Where the file of every sample of ``modality`` lies, by id, in the order they were added."""
    from sqlalchemy import select

    from emolab.catalog.storage import schema

    table = schema.samples.c
    query = select(table.id, table.media).where(table.modality == modality, schema.present).order_by(table.pk)
    return {row.id: row.media for row in conn.execute(query.execution_options(yield_per=50_000))}


def _complete(
    workspace: Workspace, looks: Looks, media: dict[str, str], finder: CopyFinder, progress: Progress
) -> None:
    """Decode what no look is kept of."""
    missing = looks.missing(list(media))
    if not missing:
        return
    with progress.task("Reading samples", len(missing), unit="samples") as task, ThreadPoolExecutor(2) as pool:
        for part in chunks(missing, 1000):
            found = pool.map(finder.look, [workspace.locate(media[name]) for name in part])
            looks.add((name, each) for name, each in zip(part, found, strict=True) if each is not None)
            task.advance(len(part))


def _moved(links: NDArray[np.int64], order: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """``links`` between ``n`` rows as they are numbered in ``order``, without those to rows that are not in it."""
    place = np.full(n, -1)
    place[order] = np.arange(len(order))
    moved = place[links]
    return moved[(moved >= 0).all(axis=1)]


def _details(conn: Connection, keys: Sequence[int]) -> dict[int, RowMapping]:
    """What the choice of a representative looks at, by key."""
    from sqlalchemy import select

    from emolab.catalog.storage import schema

    table = schema.samples.c
    columns = (table.pk, table.id, table.quality, table.width, table.height, table.duration)
    found: dict[int, RowMapping] = {}
    for start in range(0, len(keys), 500):
        query = select(*columns, table.n_votes, table.representative, table.split).where(
            table.pk.in_(keys[start : start + 500])
        )
        found.update((row["pk"], row) for row in conn.execute(query).mappings())
    return found


def _standing(conn: Connection) -> dict[str, str | None]:
    """Every sample that has a representative now, with its id."""
    from sqlalchemy import select

    from emolab.catalog.storage import schema

    table = schema.samples.c
    return {
        name: old
        for name, old in conn.execute(select(table.id, table.representative).where(table.representative.is_not(None)))
    }


def _best(together: Sequence[RowMapping], finder: CopyFinder | None) -> str:
    """The id of the sample that stands for the others."""
    standing = {row["representative"] for row in together}
    best = min(
        together,
        key=lambda row: (
            -row["n_votes"],
            row["id"] not in standing,
            finder.rank(dict(row)) if finder else (),
            row["id"],
        ),
    )
    return str(best["id"])


def _members(number: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The rows of every group of two or more."""
    order = np.argsort(number, kind="stable")
    starts = np.flatnonzero(np.diff(number[order])) + 1
    return [part for part in np.split(order, starts) if len(part) > 1]
