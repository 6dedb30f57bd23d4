"""An open dataset enters the workspace: its images as samples, its labels as votes of an annotator named after it.

1. The reader's labels are mapped by name before anything is read; a label without meaning is an error with a ready map.
2. Records stream through ingest. Each batch commits its samples, votes and splits in one transaction; the origin of a
   vote names dataset, image and source label, so running again adds nothing and going on after a crash loses nothing.
3. Exact copies are one sample with the votes of every copy. A copy in a more held-out split moves the sample there.
4. Near-duplicates get a representative; samples without a split get one, by group.
"""

from __future__ import annotations

import hashlib
import math
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from emolab.catalog import events, samples, settings, votes
from emolab.datasets.collect.ingest import IngestOptions, Item, ingest
from emolab.datasets.file_names import NAME_LIMIT, source_name
from emolab.datasets.merge.batches import MergeBatches, earlier_votes, wanted_split
from emolab.datasets.merge.label_map import LabelMap, Target, plan, refuse_nothing
from emolab.datasets.merge.report import MergeReport
from emolab.datasets.near_copies import groups
from emolab.datasets.readers.reader import Reader, ReaderOptions, Survey, as_reader
from emolab.datasets.readers.source import Damaged
from emolab.datasets.splits import speakers
from emolab.datasets.splits.assign import fill
from emolab.errors import DataError, UnknownName
from emolab.modalities.modality import open_modality
from emolab.modalities.problems import Problem
from emolab.plugins import READERS
from emolab.progress import SILENT, Progress
from emolab.records import SPLITS, Record
from emolab.taxonomy import resolve

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from emolab.catalog import Catalog
    from emolab.datasets.near_copies.groups import CopyGroups
    from emolab.workspace import Workspace


def merge(
    workspace: Workspace,
    reader: str,
    path: Path,
    *,
    split: str = "auto",
    rules: Mapping[str, Target] | None = None,
    options: ReaderOptions | None = None,
    name: str | None = None,
    dry_run: bool = False,
    near: bool = True,
    allow_speaker_leak: bool = False,
    progress: Progress = SILENT,
) -> MergeReport:
    """Bring the dataset at ``path`` into ``workspace`` and say what happened; safe to run again or to go on with.

    ``split``: ``auto`` keeps the dataset's splits and assigns the rest by group, a split's name takes everything there.
    ``rules`` map labels (see :mod:`emolab.datasets.merge.label_map`); ``name`` is the dataset's name in the workspace
    (default: the reader's for a published dataset, else the folder's). ``near=False`` leaves near-duplicates alone.
    ``allow_speaker_leak``: splits may divide speakers, which is kept and told of every model.
    Raises :class:`DataError` for a dataset that is not in the reader's layout and for labels without meaning, before
    anything is written.
    """
    began = time.monotonic()
    dataset = _survey(workspace, reader, path, split=split, rules=rules, options=options, name=name)
    speakers.refuse_column(dataset.survey, str(path), allowed=allow_speaker_leak)
    report = MergeReport(
        name=dataset.name,
        reader=reader,
        path=str(path),
        licence=dataset.source.licence,
        dry_run=dry_run,
        noun=open_modality(workspace.config.project.modality).noun,
    )
    report.unused_rules = list(dataset.labels.unused)
    with workspace.lock("merge"), workspace.catalog() as catalog, catalog.recording("merge", dataset.name):
        with catalog.connect() as connection:
            report.supported = _supported(connection, dataset)
            earlier = earlier_votes(votes.origins(connection, f"reader:{dataset.name}:"))
            leaks = _divided(workspace, connection, dataset)
        if not allow_speaker_leak:
            speakers.refuse(leaks, f"the splits of {path}", _keep_whole(dataset))
        batches = MergeBatches(report, dataset.source, dataset.labels, split, earlier)
        _take_in(workspace, catalog, dataset, batches, report, progress=progress)
        batches.finish(dataset.classes)
        if not dry_run:
            if leaks or dataset.survey.speakers:
                with catalog.begin() as tx:
                    settings.divide_speakers(tx, "merge", source=dataset.name)
            found = groups.find(workspace, catalog, progress=progress) if near else None
            _settle(catalog, dataset, batches, report, found)
        with catalog.connect() as connection:
            batches.weigh(connection, dataset.classes)
    report.seconds = round(time.monotonic() - began, 2)
    return report


@dataclass(frozen=True, kw_only=True)
class _Dataset:
    """An open dataset under its ``name`` in the workspace: what its reader found, and what its labels mean here."""

    name: str
    reader: str
    source: Reader
    path: Path
    options: ReaderOptions
    split: str
    survey: Survey
    labels: LabelMap
    classes: Sequence[str]


def _survey(
    workspace: Workspace,
    reader: str,
    path: Path,
    *,
    split: str,
    rules: Mapping[str, Target] | None,
    options: ReaderOptions | None,
    name: str | None,
) -> _Dataset:
    """Look at the dataset; raises as :func:`merge` does."""
    if split not in ("auto", *SPLITS):
        raise UnknownName("split", split, ("auto", *SPLITS))
    source, options = as_reader(READERS.load(reader)), options or {}
    source.check(options)
    survey = source.survey(path, options)
    if not survey.records:
        raise DataError(f"{path} holds no samples for the reader {reader}.")
    classes = workspace.config.project.classes
    labels = plan(survey.labels, classes, rules)
    refuse_nothing(labels, survey.labels, classes)
    return _Dataset(
        name=dataset_name(name, reader, source, path),
        reader=reader,
        source=source,
        path=path,
        options=options,
        split=split,
        survey=survey,
        labels=labels,
        classes=classes,
    )


def _take_in(
    workspace: Workspace,
    catalog: Catalog,
    dataset: _Dataset,
    batches: MergeBatches,
    report: MergeReport,
    *,
    progress: Progress,
) -> None:
    """Bring in the images with their votes, and count into ``report`` what came."""
    source, survey = dataset.source, dataset.survey
    if not report.dry_run:
        with catalog.begin() as tx:
            samples.set_source(
                tx, dataset.name, supported=report.supported, licence=source.licence, perspective=source.perspective
            )
    done = ingest(
        workspace,
        catalog,
        chain(
            (problem for problem in survey.problems if not problem.taken),
            _items(source(dataset.path, dataset.options), dataset.name, source, dataset.split),
        ),
        options=IngestOptions(
            faces="off",
            clip_seconds=math.inf,
            voice_activity=workspace.config.collect.voice_activity,
            masking=workspace.config.collect.masking,
            transcriber=workspace.config.collect.transcriber,
            spoken=workspace.config.collect.spoken,
            dry_run=report.dry_run,
        ),
        on_batch=batches.batch,
        total=lambda: survey.records,
        description=f"Merging {dataset.name}",
        progress=progress,
    )
    report.read, report.unreadable = done.items, done.failed
    report.problems = [*(problem for problem in survey.problems if problem.taken), *done.problems]
    report.ignored = dict(survey.ignored.most_common())
    report.noted = dict(done.notes.most_common())


def _settle(
    catalog: Catalog, dataset: _Dataset, batches: MergeBatches, report: MergeReport, found: CopyGroups | None
) -> None:
    """Mark near copies, give splits to what has none, and write down that a merge took place."""
    with catalog.begin() as tx:
        if found is not None:
            report.near = groups.mark(tx, found)
        if dataset.split == "auto":
            report.assigned = dict(fill(tx, batches.majorities()).assigned)
        report.others = batches.compare(tx)
        report.splits = {key or "none": n for key, n in samples.count_by(tx, "split").items()}
        events.record(
            tx, "merge", {"name": dataset.name, "reader": dataset.reader, "added": report.added, "read": report.read}
        )


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
            split=wanted_split(record, source, split),
            stamp=stamp,
            carry=record,
        )


def _divided(workspace: Workspace, conn: Connection, dataset: _Dataset) -> list[str]:
    """The groups that this merge would put on both sides, where a group is a speaker and none was let be before."""
    if not open_modality(workspace.config.project.modality).speakers:
        return []
    if any(row["source"] in (None, dataset.name) for row in settings.speakers_divided(conn)):
        return []
    own: Mapping[str, set[str]] = dataset.survey.placed
    if dataset.split != "auto":
        own = {group: {dataset.split} for group in own}
    return speakers.unlike(speakers.with_known(conn, dataset.name, own))


def _keep_whole(dataset: _Dataset) -> str:
    """What to type so that speakers stay whole."""
    drop = ' -o "split="' if dataset.reader == "csv" else " --split train, and then emolab split draw"
    return f"Have emolab draw splits by speaker:{drop}; or let it be, on record: {speakers.FLAG}"


def _supported(connection: Connection, dataset: _Dataset) -> list[str]:
    """The project's classes that the dataset can show: declared or met, now or in an earlier merge of its name."""
    labels, classes = dataset.labels, dataset.classes
    shown = labels.targets() | set(samples.supported(connection).get(dataset.name) or ())
    for declared in dataset.source.supported or ():
        rule = labels.rules.get(declared, resolve(declared, classes))
        if isinstance(rule, str):
            shown.add(rule)
        elif rule is not None:
            shown |= set(rule)
    return [name for name in classes if name in shown]
