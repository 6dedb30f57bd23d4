"""What a search has done so far: a journal that a kill leaves readable, and the seconds it has used.

Every training that ended is a line of JSON, on the disk before the next one begins. Half a line at the end, of a write
that was cut off, counts as not written. The seconds used are written every second, so that a kill loses one at most.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from emolab.errors import DataError
from emolab.files import damaged, read_lines, write_text

JOURNAL, USED = "journal.jsonl", "used.json"
#: Seconds between writes of the time used.
BEAT = 1.0


@dataclass
class TuneJournal:
    """The journal in ``folder``: ``fits``, one for each training that ended."""

    folder: Path
    fits: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def open(cls, folder: Path) -> TuneJournal:
        """The journal in ``folder``, which is made. Raises :class:`DataError` for a damaged one."""
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / JOURNAL
        hint = f"To search again: rm -r {folder}"
        lines = read_lines(file, hint=hint) if file.is_file() else []
        strange = [number for number, line in lines if "trial" not in line]
        if strange:
            raise damaged(file, strange[0], hint)
        return cls(folder, [line for _, line in lines])

    def find(self, trial: int, fold: int, share: float) -> dict[str, Any] | None:
        """What came of that training; ``None`` before it ended."""
        wanted = (trial, fold, share)
        return next((fit for fit in self.fits if (fit["trial"], fit["fold"], fit["share"]) == wanted), None)

    def done(self, trial: int, fold: int) -> dict[str, Any]:
        """What came of a whole training that has ended. Raises ``KeyError`` for another one."""
        found = self.find(trial, fold, 1.0)
        if found is None:
            raise KeyError((trial, fold))
        return found

    def write(self, told: Mapping[str, Any]) -> None:
        """Add a training; when this returns it is on the disk."""
        file = self.folder / JOURNAL
        line = dict(told)
        with file.open("ab") as stream:
            torn = stream.tell() > 0 and not _ends_whole(file)
            stream.write(b"\n" * torn + json.dumps(line).encode() + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
        self.fits.append(line)


class TuneClock:
    """Seconds that a search in ``folder`` has used, earlier calls included; on disk while it is entered."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / USED
        self._before = _seconds(self._file)
        self._began = time.monotonic()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    @property
    def used(self) -> float:
        """Seconds so far."""
        return self._before + time.monotonic() - self._began

    def __enter__(self) -> TuneClock:
        self._began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()
        self._write()

    def _beat(self) -> None:
        while not self._end.wait(BEAT):
            self._write()

    def _write(self) -> None:
        write_text(self._file, json.dumps({"seconds": round(self.used, 3)}))


def _seconds(file: Path) -> float:
    try:
        return float(json.loads(file.read_text(encoding="utf-8"))["seconds"])
    except FileNotFoundError:
        return 0.0
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{file} is damaged.", hint=f"To count from zero: rm {file}") from error


def _ends_whole(file: Path) -> bool:
    with file.open("rb") as stream:
        stream.seek(-1, os.SEEK_END)
        return stream.read(1) == b"\n"
