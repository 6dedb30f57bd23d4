"""The workspace as a FiftyOne dataset: written in bulk, opened in the App, read for what people changed there.

FiftyOne is a view: it can be dropped and is rebuilt from the catalog.
"""

from __future__ import annotations

import atexit
import gc
import logging
import os
import socket
import sys
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any
from urllib.parse import quote

from sqlalchemy import ColumnElement, Connection

from emolab.catalog import votes
from emolab.catalog.privacy import consents
from emolab.datasets.inspect import appearance, drawn_samples, mongod, row_batches, rows
from emolab.datasets.inspect.answers import AppSample, answers, restored_tags
from emolab.datasets.inspect.documents import DocumentField, Writer, fields, stamped_label
from emolab.datasets.inspect.fiftyone_dataset import dataset_name, owner_id, owner_of, prepared, writing_path
from emolab.datasets.inspect.sync import Path, SyncTally, synchronise
from emolab.errors import EmolabError, MissingExtra
from emolab.progress import SILENT, Progress
from emolab.records import Predictions
from emolab.results import Result
from emolab.workspace import Workspace

ADDRESS = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class ViewReport(Result):
    """What :func:`write` did: dataset, samples in it, the tally, the size of each saved view, the path used."""

    dataset: str
    samples: int
    tally: SyncTally
    views: dict[str, int]
    path: str

    def to_dict(self) -> dict[str, Any]:
        """What is in the dataset and what changed there, ready for JSON."""
        tally = self.tally
        return {
            "dataset": self.dataset,
            "samples": self.samples,
            "added": tally.added,
            "changed": tally.changed,
            "unchanged": tally.unchanged,
            "removed": tally.removed,
            "edits_not_pulled": len(tally.kept),
            "views": dict(self.views),
            "path": self.path,
        }


@dataclass(frozen=True, slots=True)
class AppEdits(Result):
    """What :func:`pull` did: new and withdrawn votes, answers known before, and (uid, line) for what it left alone."""

    new: int
    withdrawn: int
    known: int
    problems: tuple[tuple[str, str], ...]

    def to_dict(self) -> dict[str, Any]:
        """Counts, and each change that was left alone with the reason, ready for JSON."""
        problems = [{"sample": uid, "problem": line} for uid, line in self.problems]
        return {"new": self.new, "withdrawn": self.withdrawn, "known": self.known, "problems": problems}


def connect(address: str) -> ModuleType:
    """The ``fiftyone`` package, connected to the database at ``address``, silent and without a network.

    Raises :class:`MissingExtra` without FiftyOne and :class:`EmolabError` when this process already uses
    FiftyOne with another database (it can have one only).
    """
    mongod.share(address)
    os.environ.update(
        FIFTYONE_DATABASE_VALIDATION="false",  # mongod.find checked the version; this only warns about old ones
        FIFTYONE_DO_NOT_TRACK="true",
        FIFTYONE_SHOW_PROGRESS_BARS="false",
    )
    fresh = "fiftyone" not in sys.modules
    try:
        import fiftyone as fo
    except ImportError:
        raise MissingExtra("FiftyOne", "data") from None
    if fresh:
        gc.freeze()  # some 250,000 objects that stay: going through them again and again costs a third of a write
        atexit.register(gc.unfreeze)  # else extension modules complain about leaks when the process ends
    if fo.config.database_uri != address:
        raise EmolabError(
            "FiftyOne is already in use here with another database, and a Python process can have one only.",
            hint="Start a new process, or set FIFTYONE_DATABASE_URI before FiftyOne is imported.",
        )
    package: ModuleType = fo
    return package


def write(
    workspace: Workspace,
    address: str,
    *,
    predictions: Predictions | None = None,
    moved: Sequence[str] = (),
    progress: Progress = SILENT,
    path: str = "auto",
) -> ViewReport:
    """Bring the workspace's dataset, on the database at ``address``, to what the catalog says now.

    Only samples that changed are rewritten; tags, fields and views that people made stay. ``moved`` are samples (ids)
    that get a view of their own, in their order. ``path`` is ``auto`` (direct when FiftyOne's internals are as
    expected, which is checked), ``direct`` or ``public``.
    """
    fo = connect(address)
    classes = workspace.config.project.classes
    with workspace.lock("inspect"), workspace.catalog() as catalog:
        owner = owner_id(workspace, catalog)
        with catalog.connect() as conn:
            may = consents.allowed(conn, "show", required=workspace.config.privacy.consent_required)
            if may.barred:
                progress.note(may.told())
            pictures = drawn_samples.folder_of(workspace)
            if pictures is not None:
                drawn_samples.draw(workspace, conn, pictures, only=may.clause, progress=progress)
            known = fields(classes, rows.qualities(conn), drawn=pictures is not None)
            dataset = prepared(fo, dataset_name(fo, workspace, owner), known)
            dataset.info["emolab"] = {"owner": owner, "workspace": str(workspace.root)}
            way = writing_path(fo, dataset, classes, path, progress)
            tally = _fill(
                workspace, conn, predictions, dataset=dataset, way=way, known=known, only=may.clause, progress=progress
            )
    drawn_samples.link(dataset, f"http://{ADDRESS}:{workspace.config.inspect.port}")
    appearance.dress(fo, dataset, classes, known)
    return ViewReport(dataset.name, len(dataset), tally, appearance.save_views(fo, dataset, moved), way.name)


def pull(workspace: Workspace, address: str, *, annotator: str) -> AppEdits:
    """Read what people changed in the App and write it to the ledger as votes of ``annotator``, in one transaction.

    Running it again changes nothing. Raises :class:`EmolabError` when there is no dataset yet.
    """
    fo = connect(address)
    with workspace.lock("inspect"), workspace.catalog() as catalog, catalog.begin() as tx:
        name = dataset_name(fo, workspace, owner_of(tx))
        if not fo.dataset_exists(name):
            raise EmolabError(f'There is no FiftyOne dataset "{name}" yet.', hint="Write it with: emolab inspect")
        found = answers(
            _seen(fo.load_dataset(name), rows.known(tx)),
            annotator=annotator,
            classes=workspace.config.project.classes,
            ledger=rows.inspected(tx),
        )
        withdrawn = votes.withdraw(tx, found.withdrawn, "taken back in FiftyOne")
        new = votes.append(tx, found.votes, kind="inspector")
    return AppEdits(new, withdrawn, found.known, tuple(found.problems))


@contextmanager
def app(workspace: Workspace, address: str, *, port: int | None = None) -> Iterator[str]:
    """The address of the FiftyOne App on the workspace's dataset; it runs until the block ends.

    Without ``port``, the configured one or the next free one. Raises :class:`EmolabError` when ``port`` is
    taken.
    """
    fo = connect(address)
    with workspace.catalog() as catalog:
        name = dataset_name(fo, workspace, owner_id(workspace, catalog))
    chosen = _port(port, workspace.config.inspect.port)
    logging.getLogger("fiftyone").setLevel(logging.ERROR)  # its greetings; emolab says where the App is
    dataset = fo.load_dataset(name)
    drawn_samples.link(dataset, f"http://{ADDRESS}:{chosen}")
    session = fo.launch_app(
        dataset, spaces=appearance.panels(fo), remote=True, address=ADDRESS, port=chosen, auto=False
    )
    try:
        yield f"http://{ADDRESS}:{chosen}/datasets/{quote(name)}"
    finally:
        session.close()


def _fill(
    workspace: Workspace,
    conn: Connection,
    predictions: Predictions | None,
    *,
    dataset: Any,
    way: Path,
    known: Sequence[DocumentField],
    only: ColumnElement[bool] | None,
    progress: Progress,
) -> SyncTally:
    """Write every sample that needs it, and of which ``only`` is true."""
    classes = workspace.config.project.classes
    ledger = rows.inspected(conn)
    writer = Writer(classes)
    pictures = drawn_samples.folder_of(workspace)
    found = row_batches.batches(
        conn, root=workspace.root, classes=classes, predictions=predictions, pictures=pictures, only=only
    )
    tally, done = SyncTally(), 0
    with progress.task("writing to FiftyOne", total=rows.count(conn, only), unit="samples") as task:
        for tally in synchronise(
            dataset,
            way,
            (list(map(writer.document, batch)) for batch in found),
            fields=[*(field.name for field in known if field.name != drawn_samples.LINK), "filepath", "metadata"],
            tags=restored_tags(ledger),
            pulled={(uid, vote.label) for uid, votes in ledger.items() for vote in votes},
        ):
            handled = tally.added + tally.changed + tally.unchanged
            task.advance(handled - done)
            done = handled
    return tally


def _seen(dataset: Any, known: Container[str]) -> Iterator[AppSample]:
    """What the App shows of every sample of the catalog; tags may stand on a sample or on its labels."""
    columns = dataset.exists("uid").values(["uid", "tags", "label.tags", "prediction.tags", "label.label", "stamp"])
    for uid, tags, on_label, on_prediction, label, stamp in zip(*columns, strict=True):
        if uid in known:
            every = (*(tags or ()), *(on_label or ()), *(on_prediction or ()))
            yield AppSample(uid, every, label, stamped_label(stamp))


def _port(asked: int | None, preferred: int) -> int:
    """``asked`` when it is free, else an error; without it the first free port from ``preferred`` on."""
    for port in [asked] if asked else range(preferred, preferred + 50):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((ADDRESS, port))
            except OSError:
                continue
        return port
    raise EmolabError(f"Port {asked or preferred} is taken by another program.", hint="Choose one: --port 5160")
