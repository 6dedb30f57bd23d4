"""What a served model saw and said, as columns on disk: embeddings, probabilities, quality; no pixel, word or name.

``FOLDER/MODEL/about.json`` says which columns there are. ``FOLDER/MODEL/DAY/PART.COLUMN.bin`` holds one column of one
day (UTC) by one server, a fixed number of bytes a row, appended to and never rewritten. A crash can leave the last row
in some columns only; the rows that every column of a part has are what counts.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from emolab.errors import DataError
from emolab.files import write_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Column -> type on disk.
TYPES = {"at": "<f8", "probs": "<f4", "embeddings": "<f2", "quality": "<f4"}
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_ABOUT = "about.json"
#: Rows between two looks at how much the log takes up.
_ROWS_BETWEEN = 10_000


@dataclass(frozen=True, kw_only=True)
class LogShape:
    """The columns of one model's log: its id, its ``classes`` in order, ``width`` of the embeddings, and the names of
    the quality columns. ``thresholds`` are those of :class:`emolab.monitoring.reference.Observations`."""

    model: str
    classes: tuple[str, ...]
    width: int
    quality: tuple[str, ...]
    thresholds: tuple[float, ...] = ()

    def columns(self) -> dict[str, int]:
        """Column -> numbers a row; one without any is not kept."""
        sizes = {"at": 1, "probs": len(self.classes), "embeddings": self.width, "quality": len(self.quality)}
        return {name: size for name, size in sizes.items() if size}

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        lists = {name: list(getattr(self, name)) for name in ("classes", "quality", "thresholds")}
        return {"version": 1, **vars(self), **lists}


@dataclass(frozen=True, kw_only=True)
class ServedRows:
    """Rows of a log, by time: ``at`` (n,) seconds since 1970, ``probs`` (n, k), ``embeddings`` (n, d) and ``quality``
    (n, q), of the model that ``shape`` names."""

    shape: LogShape
    at: NDArray[np.float64]
    probs: NDArray[np.float32]
    embeddings: NDArray[np.float16]
    quality: NDArray[np.float32]


class ServedLog:
    """Appends rows of one model below ``folder``; :func:`prune` deletes by ``days`` and ``most`` bytes.

    One thread writes. Raises :class:`DataError` where the model's log has other columns.
    """

    def __init__(self, folder: Path, shape: LogShape, *, days: int, most: int) -> None:
        self.folder, self.shape, self.days, self.most = folder, shape, days, most
        home = folder / shape.model
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        about = home / _ABOUT
        if about.exists() and shape_of(home) != shape:
            raise DataError(
                f"The log {home} has other columns than this model gives.", hint=f"Move it away: mv {home} {home}.old"
            )
        write_text(about, json.dumps(shape.to_dict()))
        self._day, self._files, self._since = "", dict[str, BinaryIO](), 0

    def append(self, columns: Mapping[str, NDArray[Any]], at: float) -> None:
        """Add rows that were answered ``at`` (seconds since 1970): an array (n, ...) for each column but the time."""
        day = datetime.fromtimestamp(at, UTC).date().isoformat()
        if day != self._day:
            self._begin(day)
        n = len(columns["probs"])
        rows = {**columns, "at": np.full(n, at)}
        for name, size in self.shape.columns().items():
            block = np.ascontiguousarray(rows[name], dtype=TYPES[name])
            if block.size != n * size:
                raise DataError(
                    f"The column {name} of the log has {size} numbers a row, not {block.size / max(1, n):g}."
                )
            self._files[name].write(block.tobytes())
        for file in self._files.values():
            file.flush()
        self._since += n
        if self._since >= _ROWS_BETWEEN:
            self._since = 0
            prune(self.folder, days=self.days, most=self.most, keep=self._day)

    def close(self) -> None:
        """Close the files of the day, each of them, whatever becomes of one."""
        files, self._files, self._day = self._files, {}, ""
        with ExitStack() as all_of_them:
            for file in files.values():
                all_of_them.callback(file.close)

    def _begin(self, day: str) -> None:
        self.close()
        home = self.folder / self.shape.model / day
        home.mkdir(exist_ok=True, mode=0o700)
        while True:  # each server has a part of its own
            number = 1 + max((int(file.name.partition(".")[0]) for file in home.glob("*.bin")), default=-1)
            try:
                first = os.open(home / f"{number:05d}.at.bin", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                break
            except FileExistsError:  # another one was quicker
                continue
        self._files["at"] = os.fdopen(first, "wb")
        for name in self.shape.columns():
            if name != "at":
                made = os.open(home / f"{number:05d}.{name}.bin", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                self._files[name] = os.fdopen(made, "wb")
        self._day = day
        prune(self.folder, days=self.days, most=self.most, keep=day)


def shape_of(home: Path) -> LogShape:
    """The columns of the log of one model in ``home``. Raises :class:`DataError` where it cannot be read."""
    try:
        told = json.loads((home / _ABOUT).read_text(encoding="utf-8"))
        return LogShape(
            model=told["model"],
            classes=tuple(told["classes"]),
            width=told["width"],
            quality=tuple(told["quality"]),
            thresholds=tuple(told.get("thresholds", ())),  # logs that an earlier emolab began have none
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{home / _ABOUT} does not say what the log holds.", hint=f"Move {home} away.") from error


def logged(folder: Path) -> list[str]:
    """Ids of the models that have a log below ``folder``."""
    return sorted(path.parent.name for path in folder.glob(f"*/{_ABOUT}"))


def read(home: Path, *, since: float = -np.inf, until: float = np.inf) -> ServedRows:
    """The rows in the log of one model from ``since`` until before ``until``, seconds since 1970, by time."""
    shape = shape_of(home)
    parts: dict[str, list[NDArray[Any]]] = {name: [] for name in TYPES}
    for day in _days(home):
        if _begins(day) < until and _begins(day) + 86_400 > since:
            for first in sorted(day.glob("*.at.bin")):
                part = _part(first, shape)
                rows = _between(part["at"][:, 0], since, until)
                for name in TYPES:
                    parts[name].append(part[name][rows])
    return _by_time(shape, parts)


def moments(home: Path) -> tuple[NDArray[np.float64], int]:
    """When each row of the log of one model was answered (n,), unsorted, and how many rows lack a column.

    Rows lack one where a crash cut a write off, or a file was damaged; they do not count.
    """
    shape = shape_of(home)
    found, lacking = [np.empty(0)], 0
    for day in _days(home):
        for first in sorted(day.glob("*.at.bin")):
            at = _part(first, shape)["at"][:, 0]
            lacking += first.stat().st_size // at.itemsize - len(at)
            found.append(np.array(at, dtype=np.float64))
    return np.concatenate(found), max(0, lacking)


def drawn(home: Path, *, since: float, until: float, most: int) -> ServedRows:
    """At most ``most`` of the rows of :func:`read`, evenly drawn, always the same ones; little more is held in memory.

    Of a log that grows meanwhile the rows that were there at first are drawn from.
    """
    shape = shape_of(home)
    parts = [
        (part, rows)
        for day in _days(home)
        if _begins(day) < until and _begins(day) + 86_400 > since
        for first in sorted(day.glob("*.at.bin"))
        if len(rows := _between((part := _part(first, shape))["at"][:, 0], since, until))
    ]
    total = sum(len(rows) for _, rows in parts)
    chosen = np.arange(total)
    if total > most:
        seed = [int(since if np.isfinite(since) else 0), total]
        chosen = np.sort(np.random.default_rng(seed).choice(total, most, replace=False))
    ends = np.cumsum([0, *(len(rows) for _, rows in parts)])
    taken: dict[str, list[NDArray[Any]]] = {name: [] for name in TYPES}
    for (part, rows), begin, end in zip(parts, ends[:-1], ends[1:], strict=True):
        mine = rows[chosen[(chosen >= begin) & (chosen < end)] - begin]
        for name in TYPES:
            taken[name].append(np.array(part[name][mine]))
    return _by_time(shape, taken)


def _between(at: NDArray[np.float64], since: float, until: float) -> NDArray[np.int64]:
    return np.flatnonzero((at >= since) & (at < until))


def _by_time(shape: LogShape, parts: Mapping[str, Sequence[NDArray[Any]]]) -> ServedRows:
    """The rows of all ``parts``, by time."""
    sizes = {**dict.fromkeys(TYPES, 0), **shape.columns()}
    whole = {
        name: np.concatenate(rows) if rows else np.empty((0, sizes[name]), TYPES[name]) for name, rows in parts.items()
    }
    order = np.argsort(whole["at"][:, 0], kind="stable")
    return ServedRows(
        shape=shape,
        at=whole["at"][order, 0],
        probs=whole["probs"][order],
        embeddings=whole["embeddings"][order],
        quality=whole["quality"][order],
    )


def prune(folder: Path, *, days: int, most: int, keep: str) -> list[str]:
    """Delete days older than ``days`` before ``keep``, then the oldest ones while there are more than ``most`` bytes.

    The day ``keep`` stays. Where no day of the ``days`` before it has rows, the clock may have jumped ahead: then ages
    are those on the last day that has, and the next day with rows decides. Returns what was deleted, as MODEL/DAY.
    """
    held = sorted((day for home in folder.glob("*") for day in _days(home)), key=lambda day: day.name)
    sizes = {day: _size(day) for day in held}
    today = _ordinal(keep)
    last = max((_ordinal(day.name) for day in held if day.name < keep), default=today)
    oldest = (today if today - last <= days else last) - days
    gone, total = [], sum(sizes.values())
    for day in held:
        if day.name < keep and (_ordinal(day.name) <= oldest or total > most):
            shutil.rmtree(day, ignore_errors=True)  # another server may be at it
            total -= sizes[day]
            gone.append(f"{day.parent.name}/{day.name}")
    return gone


def _ordinal(day: str) -> int:
    return datetime.fromisoformat(day).toordinal()


def _size(day: Path) -> int:
    """Bytes of a day's files; 0 where another server has just deleted it."""
    try:
        return sum(file.stat().st_size for file in day.iterdir())
    except FileNotFoundError:
        return 0


def _days(home: Path) -> Sequence[Path]:
    return sorted(path for path in home.glob("*") if _DAY.fullmatch(path.name) and path.is_dir())


def _begins(day: Path) -> float:
    return datetime.fromisoformat(day.name).replace(tzinfo=UTC).timestamp()


def _part(first: Path, shape: LogShape) -> dict[str, NDArray[Any]]:
    """The whole rows of a part, by column (n, numbers a row), which stay on the disk until they are read."""
    number = first.name.partition(".")[0]
    raw = {}
    for name, size in shape.columns().items():
        file = first.with_name(f"{number}.{name}.bin")
        rows = file.stat().st_size // (size * np.dtype(TYPES[name]).itemsize) if file.exists() else 0
        empty = np.empty((0, size), TYPES[name])
        raw[name] = np.memmap(file, TYPES[name], mode="r", shape=(rows, size)) if rows else empty
    n = min(map(len, raw.values()))
    missing = {name: np.empty((n, 0), TYPES[name]) for name in TYPES if name not in raw}
    return {name: rows[:n] for name, rows in raw.items()} | missing
