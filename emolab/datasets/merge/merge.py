"""An open dataset enters the workspace: its images as samples, its labels as votes of an annotator named after it.

1. The reader's labels are mapped by name before anything is read; a label without meaning is an error with a ready map.
2. Records stream through ingest. Each batch commits its samples, votes and splits in one transaction; the origin of a
   vote names dataset, image and source label, so running again adds nothing and going on after a crash loses nothing.
3. Exact copies are one sample with the votes of every copy. A copy in a more held-out split moves the sample there.
4. Near-duplicates get a representative; samples without a split get one, by group.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, cast

from emolab.catalog import events, samples, tallies, votes
from emolab.datasets.collect.ingest import IngestOptions, Item, Outcome, ingest
from emolab.datasets.file_names import NAME_LIMIT, source_name
from emolab.datasets.merge.conflicts import Ledger, winner
from emolab.datasets.merge.label_map import DROP, LabelMap, Target, plan, refuse_nothing
from emolab.datasets.merge.report import MappingRow, MergeReport
from emolab.datasets.near_copies import groups
from emolab.datasets.readers.source import Damaged, Options, Reader, as_reader
from emolab.datasets.splits.assign import fill, held_out
from emolab.errors import DataError, UnknownName
from emolab.modalities.problems import Problem
from emolab.plugins import READERS
from emolab.progress import SILENT, Progress
from emolab.records import SPLITS, Record, Vote
from emolab.taxonomy import META, resolve

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from emolab.catalog.samples import AddResult
    from emolab.workspace import Workspace


def merge(
    workspace: Workspace,
    reader: str,
    path: Path,
    *,
    split: str = "auto",
    rules: Mapping[str, Target] | None = None,
    options: Options | None = None,
    name: str | None = None,
    dry_run: bool = False,
    near: bool = True,
    progress: Progress = SILENT,
) -> MergeReport:
    """Bring the dataset at ``path`` into ``workspace`` and say what happened; safe to run again or to go on with.

    ``split``: ``auto`` keeps the dataset's splits and assigns the rest by group, a split's name takes everything there.
    ``rules`` map labels (see :mod:`emolab.datasets.merge.label_map`); ``name`` is the dataset's name in the workspace
    (default: the reader's for a published dataset, else the folder's). ``near=False`` leaves near-duplicates alone.
    Raises :class:`DataError` for a dataset that is not in the reader's layout and for labels without meaning, before
    anything is written.
    """
    if split not in ("auto", *SPLITS):
        raise UnknownName("split", split, ("auto", *SPLITS))
    began = time.monotonic()
    source, options = as_reader(READERS.load(reader)), options or {}
    source.check(options)
    survey = source.survey(path, options)
    if not survey.records:
        raise DataError(f"{path} holds no samples for the reader {reader}.")
    classes = workspace.config.project.classes
    labels = plan(survey.labels, classes, rules)
    refuse_nothing(labels, survey.labels, classes)
    called = dataset_name(name, reader, source, path)
    report = MergeReport(name=called, reader=reader, path=str(path), licence=source.licence, dry_run=dry_run)
    report.unused_rules = list(labels.unused)
    with workspace.lock("merge"), workspace.catalog() as catalog:
        with catalog.connect() as connection:
            report.supported = _supported(connection, called, source, labels, classes)
            earlier = _earlier(votes.origins(connection, f"reader:{called}:"))
        run = _Run(report, source, labels, split, earlier)
        if not dry_run:
            with catalog.begin() as tx:
                samples.set_source(
                    tx, called, supported=report.supported, licence=source.licence, perspective=source.perspective
                )
        done = ingest(
            workspace,
            catalog,
            chain(
                (problem for problem in survey.problems if not problem.taken),
                _items(source(path, options), called, source, split),
            ),
            options=IngestOptions(faces="off", dry_run=dry_run),
            on_batch=run.batch,
            total=lambda: survey.records,
            description=f"Merging {called}",
            progress=progress,
        )
        report.read, report.unreadable = done.items, done.failed
        report.problems = [*(problem for problem in survey.problems if problem.taken), *done.problems]
        report.ignored = dict(survey.ignored.most_common())
        report.noted = dict(done.notes.most_common())
        run.finish(classes)
        if not dry_run:
            found = groups.find(workspace, catalog, progress=progress) if near else None
            with catalog.begin() as tx:
                if found is not None:
                    report.near = groups.mark(tx, found)
                if split == "auto":
                    report.assigned = dict(fill(tx, run.majorities()).assigned)
                report.others = run.compare(tx)
                report.splits = {key or "none": n for key, n in samples.count_by(tx, "split").items()}
                events.record(
                    tx, "merge", {"name": called, "reader": reader, "added": report.added, "read": report.read}
                )
        with catalog.connect() as connection:
            run.weigh(connection, classes)
    report.seconds = round(time.monotonic() - began, 2)
    return report


def dataset_name(name: str | None, reader: str, source: Reader, path: Path) -> str:
    """The name a dataset has in the workspace: ``name``, else the reader's for a published one, else the path's.

    Raises :class:`DataError` for a given name that is too long or holds other signs than letters, digits, ``_-.``.
    """
    if name is not None:
        return source_name(name)
    if source.supported is not None:
        return reader
    stem = re.sub(r"[^\w.-]+", "_", path.resolve().stem).strip("_")[:NAME_LIMIT]
    return stem or reader


def _items(records: Iterator[Record], name: str, source: Reader, split: str) -> Iterator[Item | Problem]:
    for record in records:
        if isinstance(record.media, Damaged):
            yield Problem(record.key, record.media.kind, record.media.reason)
            continue
        stamp = None
        if isinstance(record.media, bytes):
            stamp = "bytes:" + hashlib.blake2b(record.media, digest_size=16).hexdigest()
        yield Item(
            data=record.media,
            name=record.key,
            source=name,
            group=f"{name}:{record.group}"[:255] if record.group else None,
            licence=record.licence or source.licence,
            split=_wanted(record, source, split),
            stamp=stamp,
            carry=record,
        )


def _wanted(record: Record, source: Reader, split: str) -> str | None:
    return (record.split or source.split) if split == "auto" else split


class _Run:
    """What one merge carries from batch to batch."""

    def __init__(
        self,
        report: MergeReport,
        source: Reader,
        labels: LabelMap,
        split: str,
        earlier: Mapping[str, Sequence[str]],
    ) -> None:
        self._report = report
        self._source = source
        self._labels = labels
        self._split = split
        self._earlier = earlier
        self._ledger = Ledger()
        self._known: list[str] = []
        self._votes: Counter[tuple[str, str | None]] = Counter()
        self._led: Counter[tuple[str, str | None]] = Counter()
        self._notes: Counter[str] = Counter()

    def batch(self, tx: Connection, outcomes: Sequence[Outcome], result: AddResult) -> None:
        """Votes and splits of one batch, in the transaction that adds its samples."""
        added = set(result.added)
        known = [i for outcome in outcomes for i in outcome.ids if i not in added and i not in self._ledger.entries]
        current = samples.splits(tx, known)
        new: list[Vote] = []
        stale: list[str] = []
        moves: dict[str, str | None] = {}
        for outcome in outcomes:
            record = cast(Record, outcome.item.carry)
            for sample_id in outcome.ids:
                given = self._cast(sample_id, record)
                wanted = _wanted(record, self._source, self._split)
                before = current.get(sample_id)
                stored, kept = self._count(sample_id, record, wanted, before, is_new=sample_id in added)
                if kept != stored:
                    moves[sample_id] = kept
                new.extend(given)
                if self._earlier:
                    origins = {vote.origin for vote in given}
                    stale.extend(o for o in self._earlier.get(self._key(sample_id, record), ()) if o not in origins)
        if self._report.dry_run:
            return
        self._report.new_votes += votes.append(tx, new, kind="dataset")
        self._report.withdrawn += votes.withdraw(tx, stale, "the label map changed") if stale else 0
        samples.set_splits(tx, moves)

    def finish(self, classes: Sequence[str]) -> None:
        """Write what was counted into the report; labels in the order of ``classes``, then meta, then dropped ones."""
        order = {name: place for place, name in enumerate((*classes, *META))}
        report = self._report
        report.duplicates = sum(entry.copies - 1 for entry in self._ledger.entries.values())
        report.images = list(self._ledger.entries)
        report.copies = self._ledger.summary()
        report.notes = dict(self._notes.most_common())
        report.labels = [
            MappingRow(source, label, count, self._led[source, label])
            for (source, label), count in sorted(
                self._votes.items(), key=lambda item: (order.get(item[0][1] or "", len(order)), -item[1])
            )
        ]
        for row in report.labels:
            if row.label in META:
                report.meta[row.label] = report.meta.get(row.label, 0) + row.votes

    def compare(self, conn: Connection) -> dict[str, int]:
        """How often the dataset's label is that of everybody else, on ``images`` that others voted on with a winner."""
        told = tallies.answers(conn, self._known, outside=f"reader:{self._report.name}:")
        pairs = [(self._ledger.entries[i].majority, winner(other)) for i, other in told.items()]
        clear = [(ours, theirs) for ours, theirs in pairs if ours is not None and theirs is not None]
        return {"images": len(clear), "agree": sum(ours == theirs for ours, theirs in clear)}

    def weigh(self, conn: Connection, classes: Sequence[str]) -> None:
        """Write into the report what is left to train on, by class; after a dry run what would be."""
        entries = self._ledger.entries
        if self._report.dry_run:
            placed = {sample_id: held_out(entry.splits) for sample_id, entry in entries.items()}
        else:
            placed = samples.splits(conn, list(entries))
        left = {name: {"train": 0, "held_out": 0} for name in classes if name in self._report.supported}
        for sample_id, entry in entries.items():
            if entry.majority in left:
                left[entry.majority]["train" if placed[sample_id] in ("train", None) else "held_out"] += 1
        self._report.left = left
        ours = sum(split == "train" for split in samples.splits(conn, list(entries)).values())
        self._report.train_elsewhere = samples.count_by(conn, "split").get("train", 0) - ours

    def majorities(self) -> dict[str, str | None]:
        """The label of every image seen, as far as its first copy has one: what splits are balanced by."""
        return {sample_id: entry.majority for sample_id, entry in self._ledger.entries.items()}

    def _cast(self, sample_id: str, record: Record) -> list[Vote]:
        """The votes of one copy of an image."""
        name = self._report.name
        prefix = f"reader:{name}:{self._key(sample_id, record)}"
        annotator = f"reader:{name}" + (f":{record.annotator}" if record.annotator else "")
        return [
            Vote(
                sample_id=sample_id,
                annotator=annotator[:128],
                label=label,
                origin=f"{prefix}:{_short(source if source == label else f'{source}>{label}')}",
                count=count,
                perspective=self._source.perspective,
            )
            for (source, label), count in self._labels.translate(record.votes, record.key).items()
        ]

    def _count(
        self, sample_id: str, record: Record, wanted: str | None, before: str | None, *, is_new: bool
    ) -> tuple[str | None, str | None]:
        """Count one copy; returns the split the sample has and the one it is to have."""
        entry = self._ledger.entries.get(sample_id)
        stored = held_out(entry.splits) if entry else wanted if is_new else before
        mapped = self._labels.translate(record.votes, record.key)
        by_label: Counter[str] = Counter()
        for (_, label), count in mapped.items():
            by_label[label] += count
        first = self._ledger.see(sample_id, by_label, wanted, before=before)
        if first and is_new:
            self._report.added += 1
        elif first:
            self._report.known += 1
            self._known.append(sample_id)
        if record.note:
            self._notes[record.note] += 1
        self._votes.update(mapped)
        self._votes.update(
            {(source, None): count for source, count in record.votes.items() if self._labels.rules[source] == DROP}
        )
        leading = winner(record.votes)
        if leading is not None:
            led: list[tuple[str, str | None]] = [key for key in mapped if key[0] == leading]
            self._led.update(led or [(leading, None)])
        return stored, held_out(self._ledger.entries[sample_id].splits)

    @staticmethod
    def _key(sample_id: str, record: Record) -> str:
        """What names one opinion within the dataset: image, place, and who said it."""
        text = "\0".join((sample_id, record.key, record.annotator or ""))
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=10).hexdigest()


def _short(text: str) -> str:
    return text if len(text) <= 40 else hashlib.blake2b(text.encode(), digest_size=10).hexdigest()


def _earlier(origins: Mapping[str, str]) -> dict[str, list[str]]:
    """Origins of votes of earlier merges by their key."""
    found: dict[str, list[str]] = {}
    for origin in origins:
        found.setdefault(origin.split(":")[2], []).append(origin)
    return found


def _supported(
    connection: Connection, name: str, source: Reader, labels: LabelMap, classes: Sequence[str]
) -> list[str]:
    """The project's classes that the dataset can show: declared or met, now or in an earlier merge of its name."""
    shown = labels.targets() | set(samples.supported(connection).get(name) or ())
    for declared in source.supported or ():
        rule = labels.rules.get(declared, resolve(declared, classes))
        if isinstance(rule, str):
            shown.add(rule)
        elif rule is not None:
            shown |= set(rule)
    return [name for name in classes if name in shown]
