"""Who asked which model when, and which classes it saw: one JSON line a request, never a picture, a name or a key.

Lines go into one file a day, which nobody deletes but the owner, or to a stream where there is no folder for them.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from emolab.serving.answers import ImageAnswer


class AuditLog:
    """Writes to ``folder`` (files ``NAME-2026-11-29.jsonl``, mode 0600), else to ``stream`` [standard error]."""

    def __init__(self, folder: Path | None = None, *, name: str = "audit", stream: TextIO | None = None) -> None:
        self.folder, self.name = folder, name
        self._stream = stream or sys.stderr
        self._lock = threading.Lock()
        self._day = ""
        self._file: TextIO | None = None
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def write(self, line: Mapping[str, object]) -> None:
        """Add ``line``, with the time in UTC before it."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        text = json.dumps({"at": at, **line}) + "\n"  # in ASCII
        with self._lock:
            stream = self._of_day(at[:10])
            stream.write(text)
            stream.flush()

    def close(self) -> None:
        """Close the file of the day."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file, self._day = None, ""

    def _of_day(self, day: str) -> TextIO:
        if self.folder is None:
            return self._stream
        if self._file is None or day != self._day:
            if self._file is not None:
                self._file.close()
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            descriptor = os.open(self.folder / f"{self.name}-{day}.jsonl", flags, 0o600)
            self._file, self._day = os.fdopen(descriptor, "a", encoding="utf-8"), day
        return self._file


def class_counts(answers: Sequence[ImageAnswer]) -> dict[str, int]:
    """How many faces of each class there are in ``answers``."""
    found: dict[str, int] = {}
    for answer in answers:
        for face in answer.faces:
            found[face.label] = found.get(face.label, 0) + 1
    return found
