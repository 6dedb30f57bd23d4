"""A file to which one line of JSON is added for each alarm, for other programs to read."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from emolab.config import AlertsConfig
from emolab.errors import ConfigError, EmolabError
from emolab.monitoring.alerts.alarm import Alarm
from emolab.monitoring.alerts.channels import Tell
from emolab.safe_text import visible


def connect(settings: AlertsConfig, folder: Path) -> Tell | None:
    """Add to ``alerts.file``, which may be relative to the workspace; its lines are on the disk when this returns.

    Raises :class:`ConfigError` for what is no path.
    """
    if not settings.file:
        return None
    try:
        path = folder / Path(settings.file).expanduser()
    except RuntimeError:
        path = None
    if path is None or "\0" in settings.file:
        raise ConfigError(
            f'alerts.file is "{visible(settings.file)}", which is no path here.', hint='Such as: file = "alarms.jsonl"'
        )

    def tell(alarms: Sequence[Alarm], project: str) -> str:
        at = datetime.now(UTC).isoformat(timespec="seconds")
        lines = [json.dumps({"at": at, "project": project, **alarm.to_dict()}) + "\n" for alarm in alarms]
        try:
            _append(path, "".join(lines).encode())
        except OSError as error:
            raise EmolabError(f"alerts.file {path} cannot be written: {error.strerror}.") from error
        return ""

    return tell


def _append(path: Path, data: bytes) -> None:
    """Add whole lines: what a full disk cut short is taken away again, and a torn line before them is ended."""
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
    with os.fdopen(descriptor, "r+b", buffering=0) as stream:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is a device or pipe, not a file")
        before = status.st_size
        if before and os.pread(descriptor, 1, before - 1) != b"\n":
            data = b"\n" + data
        try:
            written = 0
            while written < len(data):
                written += stream.write(data[written:]) or 0
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, before)
            raise
