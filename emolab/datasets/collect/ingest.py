"""Items in, samples out: strip, check, measure, cut faces, store, record. Used by collect and by merge.

1. The caller's stream is read a bounded number of items (and bytes) ahead; what the ledger knows is not read at all.
2. Threads turn items into samples and media files; Pillow, OpenCV, zlib and the hashes all let go of Python's lock.
3. In the order of the input, batch by batch: media are flushed to disk, then samples (and whatever the caller adds,
   such as votes) go to the catalog in one transaction. A run stopped at any instant leaves complete batches and at
   most some media files that nothing refers to; the next run goes on where this one ended.
"""

from __future__ import annotations

import errno
import os
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from emolab.catalog import samples
from emolab.catalog.privacy.tombstones import Tombstones
from emolab.catalog.samples import AddResult
from emolab.datasets.collect.ingest_report import IngestReport
from emolab.datasets.collect.input_ledger import InputLedger
from emolab.datasets.collect.items import Item, Outcome
from emolab.datasets.collect.media_store import MediaStore
from emolab.datasets.collect.prefetch import End, Entry, Result, Whole, outcomes, stamp
from emolab.datasets.collect.prepare import FORGOTTEN, Preparer
from emolab.datasets.near_copies.thumbnails import LOOKS, Looks
from emolab.errors import EmolabError
from emolab.modalities.image.look import known_by
from emolab.modalities.intake import IngestOptions
from emolab.modalities.problems import Problem, shown
from emolab.progress import SILENT, Progress

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from emolab.catalog import Catalog
    from emolab.workspace import Workspace

__all__ = ["Entry", "IngestOptions", "IngestReport", "Item", "Outcome", "Problem", "Whole", "ingest"]

#: Samples per transaction, and seconds after which a smaller batch is written all the same.
BATCH = 500
BATCH_SECONDS = 2.0


def ingest(
    workspace: Workspace,
    catalog: Catalog,
    items: Iterable[Entry],
    *,
    options: IngestOptions | None = None,
    on_batch: Callable[[Connection, Sequence[Outcome], AddResult], None] | None = None,
    on_problem: Callable[[Problem], None] | None = None,
    total: Callable[[], int | None] = lambda: None,
    workers: int | None = None,
    description: str = "Collecting",
    progress: Progress = SILENT,
) -> IngestReport:
    """Turn ``items`` into samples of ``workspace`` and say what happened.

    ``items`` may carry problems met while listing them; they go to the report in place. ``on_batch`` is called within
    the transaction that adds a batch, with the outcomes of that batch (in input order, known ones without
    ``samples``) and what was added: whatever it writes is committed together with the samples, or not at all. In a dry
    run it gets a read-only view instead. ``total``
    is asked now and then how many items there will be; ``workers`` defaults to the cores this process may use.

    A bad input never stops the run. A full disk does, with one problem of kind "disk full" after the last complete
    batch.
    Raises :class:`EmolabError` when the workspace cannot be written or the settings make no sense.
    """
    options = replace(options or IngestOptions(), modality=workspace.config.project.modality)
    threads = workers or len(os.sched_getaffinity(0))
    if not options.dry_run:
        catalog.migrate()  # before media lies there: beside that an empty database is taken for a lost catalog
    with (
        InputLedger(workspace.cache / "seen.db", settings=options.ledger_key()) as seen,
        Looks(workspace.cache / LOOKS) as looks,
    ):
        run = _Ingestion(workspace, catalog, seen, looks, options=options, on_batch=on_batch, on_problem=on_problem)
        with (
            progress.task(description, total(), unit="items") as task,
            ThreadPoolExecutor(threads) as pool,
            _quiet(),
        ):
            known_total: int | None = None
            try:
                for outcome in outcomes(items, known=run.known, prepare=run.prepare, pool=pool):
                    run.take(outcome)
                    task.advance(0 if isinstance(outcome, End) else 1)
                    if known_total is None and (known_total := total()) is not None:
                        task.expect(known_total)
                run.commit()
            except OSError as error:
                pool.shutdown(cancel_futures=True)
                run.stop(error)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    return run.report


class _Ingestion:
    """What one call of :func:`ingest` carries along: the batch being filled and the report."""

    def __init__(
        self,
        workspace: Workspace,
        catalog: Catalog,
        seen: InputLedger,
        looks: Looks,
        *,
        options: IngestOptions,
        on_batch: Callable[[Connection, Sequence[Outcome], AddResult], None] | None,
        on_problem: Callable[[Problem], None] | None,
    ) -> None:
        self.report = IngestReport()
        self.store = None if options.dry_run else MediaStore(workspace.media, below=workspace.root)
        if self.store is not None:
            self.store.sweep()
        self._forgotten = Tombstones(workspace)
        self._take_back = workspace.config.privacy.take_back
        self.prepare = Preparer(
            options, self.store, forgotten=lambda each: not self._take_back and self._forgotten.known(each)
        )
        self._catalog = catalog
        self._seen = seen
        self._looks = looks
        self._root = workspace.root
        listed = workspace.damaged  # their originals are read again, which repairs their files
        self._damaged = set(listed.read_text(encoding="ascii").split()) if listed.is_file() else set()
        self._on_batch = on_batch
        self._on_problem = on_problem
        self._batch: list[Outcome] = []
        self._entries: list[tuple[str, Sequence[str]]] = []
        self._since_end: list[str] = []
        self._began = time.monotonic()

    def known(self, stamps: Sequence[str | None]) -> list[tuple[str, ...] | None]:
        """For each input the ids it became in an earlier run, if those samples and their media are still there."""
        found = iter(self._seen.find([s for s in stamps if s is not None]))
        ids = [None if s is None else next(found) for s in stamps]
        wanted = list({i for each in ids if each for i in each})
        if not wanted:
            return [None] * len(stamps)
        with self._catalog.connect() as connection:
            there = set(samples.keys(connection, wanted))
        if self.store is not None:
            there = {id_ for id_ in there if id_ not in self._damaged and self.store.has(id_)}
        return [each if each and there.issuperset(each) else None for each in ids]

    def take(self, outcome: Result) -> None:
        """Add one result to the batch, and write the batch when it is due."""
        if isinstance(outcome, End):
            if outcome.stamp and self._since_end:
                self._entries.append((outcome.stamp, self._since_end))
            self._since_end = []
            return
        if isinstance(outcome, Problem):
            self.report.items += not outcome.taken  # a note is about an input that is counted, or about none
            self._note(outcome)
            return
        self.report.items += 1
        for problem in outcome.problems:
            self._note(problem)
        self._batch.append(outcome)
        self._since_end.extend(outcome.ids)
        if outcome.samples and (name := stamp(outcome.item)) is not None:
            self._entries.append((name, outcome.ids))
        if len(self._batch) >= BATCH or time.monotonic() - self._began > BATCH_SECONDS:
            self.commit()

    def commit(self) -> None:
        """Make the batch durable: media first, then one transaction, then the ledger."""
        batch, self._batch = self._without_likenesses(self._batch), []
        entries, self._entries = self._entries, []
        made = [sample for outcome in batch for sample in outcome.samples]
        if self.store is None:
            with self._catalog.connect() as connection:
                result = _preview(connection, [sample.id for sample in made])
                if self._on_batch is not None:
                    self._on_batch(connection, batch, result)
        else:
            self.store.flush()
            with self._catalog.begin() as tx:
                result = samples.add(tx, made)
                if self._on_batch is not None:
                    self._on_batch(tx, batch, result)
            self._looks.add(zip((s.id for s in made), (each for o in batch for each in o.looks), strict=True))
            self._seen.add(entries)
        self.report.count(batch, result)
        self._began = time.monotonic()

    def _without_likenesses(self, batch: list[Outcome]) -> list[Outcome]:
        """``batch`` without new samples that look like something forgotten: the same picture in another file."""
        if not self._forgotten:
            return batch
        made = [pair for outcome in batch for pair in zip(outcome.samples, outcome.looks, strict=True)]
        pictures = [(sample, sample.phash, known_by(seen)) for sample, seen in made if sample.phash is not None]
        if self._take_back:
            known = [number for _, _, numbers in pictures for number in numbers]
            self._forgotten.lift([sample.id for sample, _ in made], [phash for _, phash, _ in pictures], known)
            return batch
        alike = [sample for sample, phash, numbers in pictures if self._forgotten.alike(phash, numbers)]
        if not alike:
            return batch
        with self._catalog.connect() as connection:
            there = samples.keys(connection, [sample.id for sample in alike])
        gone = {sample.id: sample.media for sample in alike if sample.id not in there}
        for media in gone.values():
            if self.store is not None:
                (self._root / media).unlink(missing_ok=True)
        for _ in gone:
            self._note(FORGOTTEN)
        kept = []
        for outcome in batch:
            rows = [row for row, sample in enumerate(outcome.samples) if sample.id not in gone]
            left = tuple(outcome.samples[row] for row in rows)
            looks = tuple(outcome.looks[row] for row in rows)
            ids = tuple(each for each in outcome.ids if each not in gone)
            kept.append(replace(outcome, ids=ids, samples=left, looks=looks))
        self._entries = [(stamp_, [each for each in ids if each not in gone]) for stamp_, ids in self._entries]
        return kept

    def stop(self, error: OSError) -> None:
        """End early: keep what is complete, then say why."""
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise EmolabError(
                f"The workspace cannot be written: {error.strerror or error} ({shown(str(error.filename or ''))}).",
                hint=f"Check the rights of {self._root} and run the same command again.",
            ) from error
        message = "no space left for media; everything up to here is kept. Free some space and run the same again"
        self.commit()
        self._note(Problem(shown(str(self._root)), "disk full", message))

    def _note(self, problem: Problem) -> None:
        self.report.note(problem)
        if self._on_problem is not None:
            self._on_problem(problem)


def _preview(connection: Connection, ids: Sequence[str]) -> AddResult:
    """What adding these samples would say, without adding them."""
    there = set(samples.keys(connection, list(set(ids))))
    result = AddResult([], [])
    for sample_id in ids:
        (result.existing if sample_id in there else result.added).append(sample_id)
        there.add(sample_id)
    return result


@contextmanager
def _quiet() -> Iterator[None]:
    """No warnings from Pillow: it has opinions on sizes and damaged tags; what matters becomes a problem."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield
