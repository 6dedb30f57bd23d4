"""The collect room's one entrance: paths or a camera in, samples in the workspace, a report of everything out."""

from __future__ import annotations

import glob
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from emolab.datasets.collect import camera as cameras
from emolab.datasets.collect.ingest import IngestOptions, IngestReport, Item, Outcome, Problem, ingest
from emolab.datasets.collect.sources import InputSource, count
from emolab.datasets.file_names import source_name
from emolab.datasets.near_copies import groups
from emolab.datasets.near_copies.groups import DuplicateReport
from emolab.datasets.splits.guessed_voices import GuessedSpeakers
from emolab.errors import ConfigError, DataError
from emolab.modalities.intake import FileNames, open_intake
from emolab.progress import SILENT, Progress
from emolab.results import Result

if TYPE_CHECKING:
    from types import TracebackType

    from sqlalchemy import Connection

    from emolab.catalog import Catalog
    from emolab.catalog.samples import AddResult
    from emolab.config import CollectConfig
    from emolab.datasets.collect.ingest import Entry
    from emolab.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Collected(Result):
    """What a run did: ``ignored`` counts files of other kinds by suffix, ``log`` lists every problem and note.

    ``near`` says which near-identical samples the workspace has now, ``None`` when nothing new came. ``one_group`` is
    the group of all new samples when there are several and they share one, which no split can divide. ``stopped``: it
    ended before all was read. ``guessed`` says which speakers were guessed, ``None`` when that was not asked for.
    """

    report: IngestReport
    ignored: Counter[str]
    log: Path | None
    near: DuplicateReport | None = None
    one_group: str | None = None
    stopped: bool = False
    dry_run: bool = False
    guessed: GuessedSpeakers | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        report = self.report
        return {
            "items": report.items,
            "added": report.added,
            "existing": report.existing,
            "skipped": report.skipped,
            "faces": report.faces,
            "without_face": report.whole,
            "one_group": self.one_group,
            "near_duplicates": None if self.near is None else self.near.surplus,
            "guessed_speakers": None if self.guessed is None else asdict(self.guessed),
            "failed": report.failed,
            "problems": dict(report.kinds.most_common()),
            "notes": dict(report.notes.most_common()),
            "ignored": dict(self.ignored.most_common()),
            "log": None if self.log is None else str(self.log),
            "stopped": self.stopped,
            "dry_run": self.dry_run,
        }


@dataclass(frozen=True, kw_only=True)
class CollectRequest:
    """What to collect and how, beyond the settings. ``camera`` is a device; ``limit`` ends a sitting before it.

    ``name`` is the source of new samples; without one it is "collected".
    """

    paths: Sequence[str] = ()
    camera: int | str | None = None
    limit: int | None = None
    group_by: str | None = None
    consent: str | None = None
    name: str | None = None
    dry_run: bool = False
    stopped: Callable[[], bool] = field(default=lambda: False)


def collect(
    workspace: Workspace, catalog: Catalog, wanted: CollectRequest, *, progress: Progress = SILENT
) -> Collected:
    """Bring ``wanted`` into ``workspace`` under its settings (section ``collect``).

    Bad inputs become lines of the report, the rest go through. Running it again goes on where it was stopped.
    Raises :class:`EmolabError` for paths of which none exists, a name that no source can have, a missing camera, a
    detector that does not exist, a workspace that cannot be written.
    """
    if wanted.camera is None:
        _check(wanted.paths)
    called = None if wanted.name is None else source_name(wanted.name)
    settings = workspace.config.collect
    options = ingest_options(settings, dry_run=wanted.dry_run)
    source = InputSource(
        group_by=wanted.group_by,
        base=workspace.root,
        files=_files(workspace, options),
        consent=wanted.consent,
        every=settings.every,
        similar=settings.similar,
        max_bytes=settings.max_bytes,
        stopped=wanted.stopped,
    )
    units = _Units()
    with _Log(workspace.logs) as log:
        if wanted.camera is not None:
            entries = cameras.pictures(
                wanted.camera,
                every=settings.every,
                similar=settings.similar,
                limit=wanted.limit,
                consent=wanted.consent,
                stopped=wanted.stopped,
            )
            report = ingest(
                workspace, catalog, _named(entries, called), options=options, on_batch=units.see, on_problem=log.write,
                progress=progress, total=lambda: wanted.limit, description=f"Camera {wanted.camera}",
            )  # fmt: skip
        else:
            with _Count(wanted.paths, every=settings.every, files=source.files) as total:
                report = ingest(
                    workspace, catalog, _named(source.entries(wanted.paths), called), options=options,
                    on_batch=units.see, on_problem=log.write, progress=progress, total=total,
                )  # fmt: skip
    near = None
    if report.added and not wanted.dry_run and "disk full" not in report.kinds:
        near = group_copies(workspace, catalog, progress=progress)
    shared = units.shared if report.added > 1 else None
    early = wanted.stopped() and wanted.camera is None
    return Collected(
        report=report,
        ignored=source.ignored,
        log=log.path,
        near=near,
        one_group=shared,
        stopped=early,
        dry_run=wanted.dry_run,
    )


def _files(workspace: Workspace, options: IngestOptions) -> FileNames:
    """Which files become samples. Raises :class:`ConfigError` for a transcriber where no sentences are kept."""
    files = open_intake(replace(options, modality=workspace.config.project.modality)).files
    if options.transcriber and not files.recordings:
        raise ConfigError(
            "A transcriber writes sentences, and this workspace keeps none (collect.transcriber).",
            hint="Make a workspace for them: emolab init sentences --modality text",
        )
    return files


def group_copies(workspace: Workspace, catalog: Catalog, *, progress: Progress = SILENT) -> DuplicateReport:
    """Look for near copies among all samples and mark them; which there are now."""
    found = groups.find(workspace, catalog, progress=progress)
    with catalog.begin() as tx:
        return groups.mark(tx, found)


def _named(entries: Iterable[Entry], name: str | None) -> Iterator[Entry]:
    """``entries`` whose samples come from the source ``name``."""
    for entry in entries:
        yield replace(entry, source=name) if name is not None and isinstance(entry, Item) else entry


def _check(paths: Sequence[str]) -> None:
    """Raise :class:`DataError` when there is nothing at any of ``paths``."""
    if any(os.path.lexists(path) or next(glob.iglob(path, recursive=True), None) for path in paths):  # noqa: PTH207
        return
    matches = any(glob.has_magic(path) for path in paths)
    there = f"Nothing matches {', '.join(paths)}." if matches else f"There is no {' and no '.join(paths)}."
    relative = any(not os.path.isabs(path) for path in paths)  # noqa: PTH117 - text
    hint = f"Check the spelling; relative paths start at {Path.cwd()}." if relative else "Check the spelling."
    raise DataError(there, hint=hint)


class _Units:
    """Whether all new samples are in one group (a person, a folder); faces of one photo are none, and no surprise."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._groups: set[str | None] = set()

    def see(self, _tx: Connection, outcomes: Sequence[Outcome], result: AddResult) -> None:
        """Count one batch; of several units the first two are enough."""
        new = set(result.added)
        for outcome in outcomes if len(self._seen) < 2 else ():
            fresh = [sample for sample in outcome.samples if sample.id in new]
            self._seen.update(sample.group or sample.parent or sample.id for sample in fresh)
            self._groups.update(sample.group for sample in fresh if sample.group)

    @property
    def shared(self) -> str | None:
        """The group of all samples seen, ``None`` when they are of several or none."""
        group = next(iter(self._seen)) if len(self._seen) == 1 else None
        return group if group in self._groups else None


def ingest_options(settings: CollectConfig, *, dry_run: bool = False) -> IngestOptions:
    """How items become samples, by the settings."""
    return IngestOptions(
        faces=settings.faces,
        detector=settings.detector,
        min_score=settings.min_score,
        min_face=settings.min_face,
        margin=settings.margin,
        tight=settings.tight,
        detect_size=settings.detect_size,
        detect_again=settings.detect_again,
        max_pixels=settings.max_pixels,
        max_bytes=settings.max_bytes,
        clip_seconds=settings.clip_seconds,
        voice_activity=settings.voice_activity,
        masking=settings.masking,
        text_column=settings.text_column,
        transcriber=settings.transcriber,
        spoken=settings.spoken,
        dry_run=dry_run,
    )


class _Count:
    """Counts the items to come in a thread of its own, so that nothing waits for a folder to be listed twice."""

    def __init__(self, paths: Sequence[str], *, every: float, files: FileNames) -> None:
        self._paths, self._every, self._files = paths, every, files
        self._end = threading.Event()
        self._total: int | None = None
        self._thread = threading.Thread(target=self._run, daemon=True, name="count")

    def __call__(self) -> int | None:
        return self._total

    def __enter__(self) -> _Count:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        total = count(self._paths, every=self._every, files=self._files, stopped=self._end.is_set)
        if not self._end.is_set():
            self._total = total


class _Log:
    """A text file with one line per problem, made when there is a first one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stream: TextIO | None = None
        self.path: Path | None = None

    def __enter__(self) -> _Log:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream is not None:
            self._stream.close()

    def write(self, problem: Problem) -> None:
        """Add one line; on a full disk the line is lost here and stays in the report."""
        try:
            if self._stream is None:
                self._folder.mkdir(parents=True, exist_ok=True)
                self.path = self._folder / f"collect-{datetime.now(UTC):%Y%m%d-%H%M%S}.txt"
                self._stream = self.path.open("a", encoding="utf-8")
            self._stream.write(f"{'note' if problem.taken else 'FAILED'}  {problem}\n")
            self._stream.flush()
        except OSError:
            if problem.kind != "disk full":
                raise
