"""Paths in, items out: files, folders, archives and videos become one stream for ``ingest``.

Nothing is read here except folder listings, the index of archives and the frames of videos; images are read by the
workers.
"""

from __future__ import annotations

import os
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from emolab.datasets.collect import archive, clip_table, video
from emolab.datasets.collect.grouping import Grouping, open_grouping, relative
from emolab.datasets.collect.ingest import Entry, Item, Problem, Whole
from emolab.datasets.collect.walk import FoundFile, walk
from emolab.datasets.file_names import kind_of
from emolab.modalities.audio import speech_parts
from emolab.modalities.image.image_names import IMAGE_FILES
from emolab.modalities.intake import FileNames
from emolab.modalities.problems import Refused, reason, shown


@dataclass(frozen=True, kw_only=True)
class InputSource:
    """How paths become items.

    ``group_by`` is what :func:`emolab.datasets.collect.grouping.open_grouping` takes (a video without a group is one of
    its own). Folders and videos are named relative to ``base``, so that they have
    the same name wherever the command is typed. ``every`` and ``similar`` are those of
    :func:`emolab.datasets.collect.video.frames`. ``ignored`` counts, by suffix, files that are none of ``files``.
    ``stopped`` is asked before each input whether to end early.
    """

    group_by: str | None = None
    base: Path = field(default_factory=Path.cwd)
    files: FileNames = IMAGE_FILES
    consent: str | None = None
    every: float = 1.0
    similar: float = 0.06
    max_bytes: int = 512 << 20
    ignored: Counter[str] = field(default_factory=Counter)
    stopped: Callable[[], bool] = lambda: False

    def entries(self, paths: Sequence[str]) -> Iterator[Entry]:
        """Everything below ``paths``. Raises what :func:`open_grouping` raises."""
        grouping = open_grouping(self.group_by, self.base)
        for found in walk(paths, files=self.files, ignored=self.ignored, stopped=self.stopped):
            if isinstance(found, Problem):
                yield found
            elif clip_table.is_clip_table(found.path, self.files):
                yield from self._table(Path(found.path), grouping)
            elif found.kind == "media":
                yield from self._file(Path(found.path), shown(found.path), _stamp(found), grouping)
            elif found.kind == "zip":
                yield from self._archive(found, grouping)
            elif found.kind == "recording":
                yield self._parts(partial(Path, found.path), shown(found.path), _stamp(found), grouping)
            else:
                settings = f"{self.every}|{self.similar}"
                yield Whole(shown(found.path), f"{_stamp(found)}|{settings}", self._video(found, grouping))
        if not self.stopped():
            yield from grouping.rest()

    def _table(self, path: Path, grouping: Grouping) -> Iterator[Entry]:
        return clip_table.entries(
            path,
            grouping,
            base=self.base,
            consent=self.consent,
            max_bytes=self.max_bytes,
            stopped=self.stopped,
        )

    def _archive(self, found: FoundFile, grouping: Grouping) -> Iterator[Entry]:
        stamp = _stamp(found)
        for member in archive.media_files(found.path, max_bytes=self.max_bytes, ignored=self.ignored, files=self.files):
            if isinstance(member, Problem):
                yield member
                continue
            if self.stopped():
                return
            name, mark, read = member
            if kind_of(name, self.files) == "recording":
                yield self._parts(read, name, f"{stamp}|{mark}", grouping)
                continue
            yield from self._file(read, name, f"{stamp}|{mark}", grouping)

    def _file(
        self, data: Path | Callable[[], bytes], name: str, stamp: str, grouping: Grouping
    ) -> Iterator[Item | Problem]:
        """One file, unless its group cannot be told."""
        try:
            group = grouping.group(name)
        except Refused as refused:
            yield refused.at(name)
            return
        recording = relative(name, self.base)
        yield Item(data=data, name=name, stamp=stamp, consent=self.consent, group=group, recording=recording)
        yield from grouping.notes(name)

    def _video(self, found: FoundFile, grouping: Grouping) -> Iterator[Item | Problem]:
        name = shown(found.path)
        left_out = kept = 0
        notes: list[str] = []
        try:
            group = grouping.group(name) or relative(name, self.base)
            for frame in video.frames(found.path, every=self.every, similar=self.similar, notes=notes):
                if self.stopped():
                    yield Problem(name, "stopped", "not read to its end; run the same command again", taken=False)
                    return
                if frame is None:
                    left_out += 1
                    continue
                kept += 1
                yield Item(data=frame.image, name=f"{name}@{frame.seconds:.2f}s", consent=self.consent, group=group)
        except Refused as refused:
            yield refused.at(name)
        yield from grouping.notes(name)
        yield from (Problem(name, "pixel shape", note, taken=True) for note in notes)
        if left_out:
            message = f"{left_out} of {left_out + kept} frames look like the one before them and were left out"
            yield Problem(name, "similar frames", message, taken=True)

    def _parts(self, read: Callable[[], bytes | Path], name: str, stamp: str, grouping: Grouping) -> Whole:
        return Whole(name, stamp, self._recording(read, name, stamp, grouping))

    def _recording(
        self, read: Callable[[], bytes | Path], name: str, stamp: str, grouping: Grouping
    ) -> Iterator[Item | Problem]:
        """The parts of a recording; each has a stamp of its own, so that a run goes on within a recording."""
        notes: list[Problem] = []
        try:
            group = grouping.group(name) or relative(name, self.base)
            media = read()
            size = media.stat().st_size if isinstance(media, Path) else len(media)
            if size > self.max_bytes:
                raise Refused("too large", f"{size:,} bytes; the limit is {self.max_bytes:,} (collect.max_bytes)")
            for part in speech_parts.speech_parts(media, name, notes):
                if self.stopped():
                    yield Problem(name, "stopped", "not heard to its end; run the same command again", taken=False)
                    return
                yield Item(data=part, name=name, stamp=f"{stamp}|{part.begin:.3f}", consent=self.consent, group=group)
        except Refused as refused:
            yield refused.at(name)
        except OSError as error:
            yield Refused("unreadable", reason(error)).at(name)
        yield from notes
        yield from grouping.notes(name)


def count(
    paths: Sequence[str],
    *,
    every: float,
    files: FileNames = IMAGE_FILES,
    stopped: Callable[[], bool] = lambda: False,
) -> int:
    """About how many items :meth:`Source.entries` will yield: folders and archives by their index, videos by length."""
    total = 0
    for found in walk(paths, files=files, stopped=stopped):
        if not isinstance(found, Problem) and clip_table.is_clip_table(found.path, files):
            total += clip_table.count(Path(found.path))
        elif isinstance(found, Problem) or found.kind == "media":
            total += 1
        elif found.kind == "recording":
            total += speech_parts.count_parts(Path(found.path))
        elif found.kind == "video":
            total += video.length(found.path, every=every)
        else:
            try:
                with zipfile.ZipFile(found.path) as file:
                    total += len(file.infolist())
            except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
                total += 1
    return total


def _stamp(found: FoundFile) -> str:
    path = os.path.abspath(found.path)  # noqa: PTH100 - no disk access
    return f"{path}|{found.status.st_size}|{found.status.st_mtime_ns}"
